"""Numbers with error bars, against definitions, closed forms and the bootstrap."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tcsm.evaluation.bound import Draws
from tcsm.evaluation.estimates import (
    bits_per_character,
    by_level,
    draws_error,
    perplexity,
    rate,
)


def tensors(nats, size):
    return torch.tensor(nats, dtype=torch.float64), torch.tensor(size)


def test_a_rate_by_hand():
    """Σ b / Σ size = 10/5; residuals −1, 1, 0, so se = √(2/2/3)/(5/3)."""
    actual = rate(*tensors([1.0, 5.0, 4.0], [1, 2, 2]))
    assert actual.value == 2
    assert actual.se == pytest.approx(math.sqrt(1 / 3) / (5 / 3))


def test_equal_sizes_give_the_standard_error_of_a_mean():
    nats = np.random.default_rng(0).gamma(3, size=50)
    actual = rate(*tensors(nats, [7] * 50))
    assert actual.value == pytest.approx(nats.mean() / 7)
    assert actual.se == pytest.approx(nats.std(ddof=1) / math.sqrt(50) / 7)


def test_the_error_is_the_bootstraps():
    chance = np.random.default_rng(1)
    size = chance.integers(40, 90, 400)
    nats = size * chance.normal(1.3, 0.2, 400)
    rows = chance.integers(0, 400, (4000, 400))
    spread = (nats[rows].sum(1) / size[rows].sum(1)).std()
    assert rate(*tensors(nats, size)).se == pytest.approx(spread, rel=0.06)


def test_the_error_covers_the_truth_as_often_as_it_should():
    """About 95 of 100 intervals of ±1.96 se hold the true rate, sizes varying."""
    chance = np.random.default_rng(2)
    held = 0
    for _ in range(400):
        size = chance.integers(10, 60, 100)
        actual = rate(*tensors(size * 2.0 + chance.normal(0, np.sqrt(size)), size))
        held += abs(actual.value - 2) < 1.96 * actual.se
    assert 0.91 < held / 400 < 0.98


def test_one_sequence_has_no_error():
    actual = rate(*tensors([3.0], [2]))
    assert actual.value == 1.5
    assert math.isnan(actual.se)


@given(
    st.lists(st.tuples(st.floats(0, 1e3), st.integers(1, 99)), min_size=2, max_size=20),
    st.floats(1e-2, 1e2),
)
def test_a_rate_scales_with_its_nats(pairs, factor):
    nats, size = tensors(*zip(*pairs, strict=True))
    one, other = rate(nats, size), rate(factor * nats, size)
    assert other.value == pytest.approx(factor * one.value)
    assert other.se == pytest.approx(factor * one.se, abs=1e-9)


def test_bits_per_character_by_definition():
    """Three characters at one bit, five at two."""
    nats, characters = tensors([3 * math.log(2), 10 * math.log(2)], [3, 5])
    actual = bits_per_character(nats, characters)
    assert actual.value == pytest.approx(13 / 8)
    assert actual.se == pytest.approx(rate(nats, characters).se / math.log(2))


def test_the_error_of_the_draws_leaves_out_the_spread_of_the_text():
    """Of 300 sequences of 2 bits a character ± 1, each by 5 rounds with an error of 3 nats."""
    generator = torch.Generator().manual_seed(0)
    size = torch.randint(20, 60, (300,), generator=generator)
    text = size * (2 + torch.randn(300, generator=generator, dtype=torch.float64)) * math.log(2)
    noise = 3 * torch.randn(300, 5, generator=generator, dtype=torch.float64)
    expected = 3 * math.sqrt(300 / 5) / float(size.sum()) / math.log(2)
    assert draws_error(text[:, None] + noise, size) == pytest.approx(expected, rel=0.07)
    assert bits_per_character((text[:, None] + noise).mean(1), size).se > 10 * expected


def test_perplexity_by_definition():
    """A uniform distribution over 27 tokens has perplexity 27."""
    nats = torch.full((5,), 16 * math.log(27), dtype=torch.float64)
    assert perplexity(nats, 5 * 16) == pytest.approx(27)
    mixed = torch.tensor([4 * math.log(2), 4 * math.log(8)], dtype=torch.float64)
    assert perplexity(mixed, 2 * 4) == pytest.approx(4)


def draws(level, noised_nats):
    level, noised_nats = (torch.tensor([row], dtype=torch.float64) for row in (level, noised_nats))
    return Draws(nats=torch.zeros_like(level), level=level, noised_nats=noised_nats)


def test_levels_by_hand():
    actual = by_level(draws([0.0, 0.2, 0.6, 1.0, 0.99], [1.0, 3.0, 9.0, 4.0, 6.0]), ranges=2)
    assert [(level.alpha, level.nats, level.draws) for level in actual] == [
        (0.25, 2.0, 2),
        (0.75, pytest.approx(19 / 3), 3),
    ]
    assert actual[0].se == pytest.approx(math.sqrt(2) / math.sqrt(2))
    assert actual[1].se == pytest.approx(np.std([9, 4, 6], ddof=1) / math.sqrt(3))


def test_a_range_with_less_than_two_draws_is_left_out():
    assert [level.alpha for level in by_level(draws([0.1, 0.9, 0.95], [1.0, 2.0, 2.0]), 2)] == [
        0.75
    ]


def test_draws_without_noise_or_noised_positions_have_no_level():
    assert by_level(draws([math.nan, math.nan], [1.0, 2.0])) == []
    assert by_level(draws([0.5, 0.5, 0.5], [math.nan, math.nan, 1.0])) == []


def test_an_alpha_of_one_falls_in_the_last_range():
    assert [level.alpha for level in by_level(draws([1.0, 1.0], [1.0, 3.0]))] == [0.95]
