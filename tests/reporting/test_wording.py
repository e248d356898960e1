import math

import pytest

from tcsm.reporting import wording


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (wording.number(-1234.5678), "−1,234.568"),
        (wording.number(math.nan), "–"),
        (wording.signed(0.0124), "+0.012"),
        (wording.signed(math.nan), "–"),
        (wording.percent(-0.0123), "−1.23 %"),
        (wording.percent(math.nan), "–"),
        (wording.share(0.914), "91 %"),
        (wording.share(math.nan), "–"),
        (wording.plus_minus(2.1, 0.004, 3), "2.100 ± 0.004"),
        (wording.plus_minus(2.1, math.nan, 1), "2.100 (n=1)"),
        (wording.plus_minus(math.nan, math.nan, 0), "–"),
        (wording.interval(-0.01, 0.02, 3), "[−0.010, +0.020]"),
        (wording.interval(math.nan, math.nan, 1), "n=1"),
        (wording.whole(9830400), "9,830,400"),
        (wording.large(9830400), "9.83 M"),
        (wording.large(128_000), "128.00 k"),
        (wording.large(8), "8"),
        (wording.brief(2_500_000), "2.5 M"),
        (wording.brief(0.1 + 0.2), "0.3"),
        (wording.brief(128), "128"),
        (wording.short(0.00123), "0.0012"),
        (wording.short(0.1), "0.10"),
        (wording.short(0.0000341), "3.4e−5"),
        (wording.short(-12.4), "−12"),
        (wording.short(123.4), "123"),
        (wording.short(math.nan), "–"),
        (wording.duration(8.4), "8.4 s"),
        (wording.duration(0), "0 s"),
        (wording.duration(9.99), "10 s"),
        (wording.duration(750), "12 min 30 s"),
        (wording.duration(11_100), "3 h 05 min"),
        (wording.duration(math.nan), "–"),
        (wording.counted(1, "seed"), "1 seed"),
        (wording.counted(1200, "run"), "1,200 runs"),
    ],
)
def test_numbers_are_spoken_of_alike(said: str, expected: str):
    assert said == expected


def test_a_verdict_follows_the_interval():
    assert wording.verdict(0.01, 0.02).startswith("worse")
    assert wording.verdict(-0.02, -0.01).startswith("better")
    assert "no difference" in wording.verdict(-0.01, 0.02)
    assert "one seed" in wording.verdict(math.nan, math.nan)


def test_an_outcome_is_the_verdict_in_few_words():
    assert wording.outcome(0.01, 0.02, 3) == "worse"
    assert wording.outcome(-0.02, -0.01, 3) == "better"
    assert wording.outcome(-0.01, 0.02, 3) == "no difference found"
    assert wording.outcome(math.nan, math.nan, 1) == "one seed"
    assert wording.outcome(math.nan, math.nan, 0) == "–"


def test_names_are_listed_as_one_speaks():
    names = ["A", "B", "C"]
    assert [wording.listed(names[:n]) for n in range(4)] == ["", "A", "A and B", "A, B and C"]


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [
        (0.1, 0.5, wording.MET),
        (0.4, 0.6, wording.OPEN),
        (0.5, 0.6, wording.OPEN),
        (0.51, 0.6, wording.MISSED),
        (math.nan, math.nan, wording.OPEN),
    ],
)
def test_a_goal_is_judged_by_the_whole_interval(low, high, told):
    assert wording.goal(low, high, 0.5) == told
