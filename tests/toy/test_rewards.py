import pytest
import torch

from tcsm.errors import InputError
from tcsm.toy.base import all_sequences
from tcsm.toy.rewards import Region, Slope


def test_a_region_keeps_its_boxes():
    actual = Region(4, [[-1, 0, -1, 0], [0, 1, 0, 1]])(all_sequences(4, 2)).view(4, 4)
    low = torch.arange(4) < 2
    assert torch.equal(actual == 0, low[:, None] == low)
    assert set(actual.flatten().tolist()) == {0.0, -1.0}


def test_a_slope_is_linear():
    actual = Slope(5, [2.0, -1.0])(all_sequences(5, 2)).view(5, 5)
    u = torch.tensor([-0.8, -0.4, 0.0, 0.4, 0.8], dtype=torch.float64)
    assert torch.allclose(actual, 2 * u[:, None] - u)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Region(4, []), r"reward.kept must list boxes .* found \[\]"),
        (lambda: Region(4, [[0, 0, 0, 1]]), r"reward.kept must list boxes"),
        (lambda: Slope(4, [1.0]), r"reward.gradient must be two numbers, found \[1.0\]"),
        (lambda: Slope(4, [1.0, float("nan")]), r"reward.gradient must be two numbers"),
    ],
)
def test_refusals(make, message):
    with pytest.raises(InputError, match=message):
        make()
