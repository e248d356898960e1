import math

import pytest
import torch

from tcsm.errors import InputError
from tcsm.toy.grid import Checkerboard, EightGaussians, Moons, coordinates

KINDS = (Checkerboard, EightGaussians, Moons)


def distribution(world):
    """Rows are the first coordinate."""
    return world.log_p.exp().view(world.vocabulary, world.vocabulary)


def test_cells_lie_symmetrically():
    assert coordinates(torch.arange(4), 4).tolist() == [-0.75, -0.25, 0.25, 0.75]


@pytest.mark.parametrize("kind", KINDS)
def test_a_density_is_a_distribution_with_full_support(kind):
    p = distribution(kind())
    assert p.shape == (91, 91)
    assert p.sum().item() == pytest.approx(1)
    assert p.min() > 0


@pytest.mark.parametrize("kind", KINDS)
def test_half_a_turn_changes_nothing(kind):
    p = distribution(kind(vocabulary=20))
    assert torch.allclose(p, p.flip(0, 1), rtol=1e-9)


def test_a_board_is_likely_in_every_other_square():
    p = distribution(Checkerboard(vocabulary=80, squares=4, sharpness=8.0))
    blocks = p.view(4, 20, 4, 20).sum((1, 3))
    odd = (torch.arange(4)[:, None] + torch.arange(4)) % 2 == 1
    assert blocks[odd].sum() < 0.15
    middle = p[10, 10] / p[10, 30]
    expected = math.exp(
        8 * math.sin(math.pi * 4 * (coordinates(torch.tensor(10), 80) + 1) / 2) ** 2
    )
    assert middle.item() == pytest.approx(expected, rel=1e-9)


def test_modes_are_eight_and_alike():
    p = distribution(EightGaussians(vocabulary=90, radius=0.7, width=0.05))
    around = torch.nn.functional.max_pool2d(p[None], 9, 1, 4)[0]
    assert int((p == around).logical_and(p > p.max() / 2).sum()) >= 8
    u = coordinates(torch.arange(90), 90)
    near = (u[:, None] - 0.7) ** 2 + u**2 < 0.15**2
    assert p[near].sum().item() == pytest.approx(1 / 8, abs=0.01)


def test_moons_are_two_arcs():
    world = Moons(vocabulary=60, radius=0.5, width=0.05)
    p, at = world.log_p.exp(), world.places()
    angle = torch.linspace(0, math.pi, 64, dtype=torch.float64)
    arc = 0.5 * torch.stack([angle.cos() - 0.5, angle.sin() - 0.25], 1)
    close = torch.cdist(at, torch.cat([arc, -arc])).min(1).values < 0.15
    assert p[close].sum() > 0.95
    assert close.sum() < 0.5 * len(p)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Moons(length=3, vocabulary=5), "world.length must be 2 on a grid, found 3"),
        (lambda: Moons(width=0.0), "world.width must be positive, found 0.0"),
        (lambda: EightGaussians(radius=-1.0), "world.radius must be positive, found -1.0"),
        (lambda: Checkerboard(squares=0), "world.squares must be positive, found 0"),
    ],
)
def test_refusals(make, message):
    with pytest.raises(InputError, match=message):
        make()
