import math

import pytest

from tcsm import formatting
from tcsm.statistics import NOTHING, Estimate

ONE = Estimate(2.1, math.nan, math.nan, math.nan, 1)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (formatting.number(-1234.5678), "−1,230"),
        (formatting.number(0.00098765), "0.000988"),
        (formatting.number(3.0126), "3.01"),
        (formatting.number(0.0), "0.00"),
        (formatting.number(math.inf), "inf"),
        (formatting.number(math.nan), "–"),
        (formatting.signed(0.01236), "+0.0124"),
        (formatting.signed(-0.0001, 3), "+0.000"),
        (formatting.signed(math.nan), "–"),
        (formatting.percent(-0.0123), "−1.23 %"),
        (formatting.percent(math.nan), "–"),
        (formatting.share(0.914), "91 %"),
        (formatting.share(math.nan), "–"),
        (formatting.mean_ci(Estimate(2.1, 0.001, 2.096, 2.104, 3)), "2.10 ± 0.004"),
        (formatting.mean_ci(ONE), "2.10 (n=1)"),
        (formatting.mean_ci(NOTHING), "–"),
        (formatting.interval(Estimate(0.005, 0.003, -0.01, 0.02, 3)), "[−0.0100, +0.0200]"),
        (formatting.interval(ONE), "n=1"),
        (formatting.mean_ci(Estimate(2.1, 0.004, 2.0, 2.2, 3)), "2.10 ± 0.10"),
        (formatting.change(Estimate(-0.01, 0.004, -0.02, 0.0, 3)), "−0.0100 [−0.0200, +0.0000]"),
        (formatting.change(NOTHING), "–"),
        (formatting.change(ONE), "+2.10 (n=1)"),
        (formatting.mean_range(Estimate(2.1, 0.1, 2.0, 2.2, 3)), "2.10 [2.00, 2.20]"),
        (formatting.mean_range(ONE), "2.10"),
        (formatting.number(9830400, 0), "9,830,400"),
        (formatting.large(9830400), "9.83 M"),
        (formatting.large(128_000), "128 k"),
        (formatting.large(8), "8"),
        (formatting.brief(2_500_000), "2.5 M"),
        (formatting.brief(0.1 + 0.2), "0.3"),
        (formatting.brief(128), "128"),
        (formatting.short(0.00123), "0.0012"),
        (formatting.short(0.1), "0.10"),
        (formatting.short(0.0000341), "3.4e−5"),
        (formatting.short(-12.4), "−12"),
        (formatting.short(123.4), "123"),
        (formatting.short(math.nan), "–"),
        (formatting.duration(8.4), "8.4 s"),
        (formatting.duration(0), "0 s"),
        (formatting.duration(9.99), "10 s"),
        (formatting.duration(750), "12 min 30 s"),
        (formatting.duration(11_100), "3 h 05 min"),
        (formatting.duration(math.nan), "–"),
        (formatting.counted(1, "seed"), "1 seed"),
        (formatting.counted(1200, "run"), "1,200 runs"),
    ],
)
def test_numbers_are_shown_alike(said: str, expected: str):
    assert said == expected
