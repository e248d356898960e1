import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tcsm.statistics import (
    NOTHING,
    detectable,
    finite,
    holm,
    over_seeds,
    p_value,
    paired,
    ratio,
    side,
)

TABLE = {  # two-sided 95 %, from any printed table
    1: 12.706,
    2: 4.303,
    3: 3.182,
    4: 2.776,
    5: 2.571,
    10: 2.228,
    17: 2.110,
    30: 2.042,
    120: 1.980,
}


@pytest.mark.parametrize("degrees", TABLE)
def test_intervals_agree_with_the_table(degrees):
    values = np.random.default_rng(degrees).normal(2, 1, degrees + 1)
    actual = over_seeds(values)
    assert (actual.high - actual.value) / actual.error == pytest.approx(TABLE[degrees], abs=6e-4)


@given(count=st.integers(2, 200))
def test_intervals_agree_with_scipy(count):
    values = np.random.default_rng(count).normal(2, 1, count)
    actual = over_seeds(values)
    low, high = stats.t.interval(0.95, count - 1, values.mean(), stats.sem(values))
    assert (actual.low, actual.high) == pytest.approx((low, high), abs=1e-9)


def test_three_seeds_by_hand():
    actual = over_seeds([2.0, 2.1, 2.3])
    error = math.sqrt(((2 - 6.4 / 3) ** 2 + (2.1 - 6.4 / 3) ** 2 + (2.3 - 6.4 / 3) ** 2) / 2 / 3)
    assert actual.value == pytest.approx(6.4 / 3)
    assert actual.error == pytest.approx(error)
    assert actual.high - actual.value == pytest.approx(4.30265 * error, rel=1e-5)
    assert actual.value - actual.low == pytest.approx(4.30265 * error, rel=1e-5)
    assert actual.count == 3


def test_one_seed_has_no_interval():
    actual = over_seeds([2.0])
    assert (actual.value, actual.count) == (2.0, 1)
    assert math.isnan(actual.error)
    assert math.isnan(actual.low)
    assert math.isnan(ratio(np.array([3.0]), np.array([2.0])).low)


def test_without_values_there_is_no_estimate():
    assert over_seeds([]) == NOTHING


def test_the_ratio_with_equal_lengths_is_the_mean():
    nats = np.random.default_rng(0).normal(100, 5, size=50)
    actual, mean = ratio(nats, np.full(50, 60.0)), over_seeds(nats / 60 / math.log(2))
    for key in ("value", "error", "low", "high"):
        assert getattr(actual, key) == pytest.approx(getattr(mean, key))


def test_the_ratio_covers_the_truth_as_often_as_it_says():
    draw = np.random.default_rng(1)
    inside = 0
    for _ in range(1000):
        chars = draw.integers(40, 80, size=64).astype(float)
        actual = ratio(1.5 * math.log(2) * chars + draw.normal(0, 8, size=64), chars)
        inside += actual.low <= 1.5 <= actual.high
    assert 0.925 < inside / 1000 < 0.97


def test_pairing_removes_what_both_share():
    draw = np.random.default_rng(2)
    chars, shared = draw.integers(40, 80, size=64).astype(float), draw.normal(90, 20, size=64)
    first, second = shared + draw.normal(1, 1, size=64), shared + draw.normal(0, 1, size=64)
    paired, apart = ratio(first - second, chars), ratio(first, chars)
    assert paired.value == pytest.approx(apart.value - ratio(second, chars).value)
    assert paired.error < apart.error / 5


def test_paired_by_hand():
    runs = pd.DataFrame({"seed": [0, 1, 2, 3], "bpc": [2.0, 2.4, 2.1, 9.0]})
    actual = paired(runs, pd.DataFrame({"seed": [2, 1, 0, 7], "bpc": [2.0, 2.1, 1.8, 0.0]}), "bpc")
    error = math.sqrt(((0.2 - 0.2) ** 2 + (0.3 - 0.2) ** 2 + (0.1 - 0.2) ** 2) / 2 / 3)
    assert actual.value == pytest.approx(0.2)
    assert actual.error == pytest.approx(error)
    assert (actual.low, actual.high) == pytest.approx(
        (0.2 - 4.302653 * error, 0.2 + 4.302653 * error)
    )
    assert actual.count == 3


def test_what_is_no_number_is_left_out_of_a_mean():
    assert finite([2.0, math.nan, 4.0, math.inf]) == over_seeds([2.0, 4.0])
    assert finite([]) == finite([math.nan]) == NOTHING
    one = pd.DataFrame({"seed": [0], "bpc": [1.0]})
    assert paired(one, one.assign(seed=1), "bpc") == NOTHING


@pytest.mark.parametrize("n", [3, 4, 6])
def test_a_detectable_difference_is_significant_in_about_four_cases_of_five(n):
    """By the noncentral t distribution, which the sum of two quantiles approximates."""
    values = np.linspace(0.3, 0.7, n)
    quantile = stats.t.ppf(0.975, n - 1)
    shift = detectable(over_seeds(values)) / (values.std(ddof=1) / np.sqrt(n))
    power = 1 - stats.nct.cdf(quantile, n - 1, shift) + stats.nct.cdf(-quantile, n - 1, shift)
    assert 0.7 < power < 0.85


def test_a_single_seed_detects_nothing():
    assert np.isnan(detectable(over_seeds([1.0])))


def test_p_values_are_those_of_the_t_test():
    values = [0.3, 0.1, 0.45, 0.2]
    for goal in (0.0, 0.2, 1.0):
        known = stats.ttest_1samp(values, goal).pvalue
        assert p_value(over_seeds(values), goal) == pytest.approx(known)
    assert math.isnan(p_value(over_seeds([1.0])))
    assert math.isnan(p_value(over_seeds([0.0, 0.0])))
    assert p_value(over_seeds([1.0, 1.0])) == 0.0


def test_holm_by_hand():
    """Steps that fall are levelled; order, unknown values and 1 as a limit."""
    assert holm([0.01, 0.02, 0.03, 0.04, 0.05]) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])
    assert holm([0.03, 0.005, 0.01, 0.04]) == pytest.approx([0.06, 0.02, 0.03, 0.06])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([math.nan, 0.04, math.nan]) == pytest.approx(
        [math.nan, 0.04, math.nan], nan_ok=True
    )
    assert holm([]) == []


def test_one_false_verdict_in_a_family_is_as_rare_as_it_says():
    draw = np.random.default_rng(3)
    families = draw.normal(size=(500, 8, 5))
    wrong = [min(holm([p_value(over_seeds(v)) for v in family])) <= 0.05 for family in families]
    assert np.mean(wrong) < 0.08


def test_a_side_needs_significance():
    mean = over_seeds([0.3, 0.2, 0.25])
    assert (side(mean, 0.01), side(mean, 0.01, 1.0), side(mean, 0.2)) == (1, -1, 0)
    assert math.isnan(side(mean, math.nan))
