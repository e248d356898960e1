import itertools

import pytest
import torch

from tcsm.errors import InputError
from tcsm.toy.rewards import Slope
from tcsm.toy.tilting import Tilting, best_of, relative_ess, tilted, total_variation

P = torch.tensor([0.1, 0.4, 0.2, 0.3], dtype=torch.float64)
R = torch.tensor([1.0, 0.0, 1.0, -2.0], dtype=torch.float64)


def test_a_tilted_distribution_is_that_of_its_formula():
    weight = P * torch.exp(R / 0.7)
    assert torch.allclose(tilted(P.log(), R, 0.7).exp(), weight / weight.sum())


def test_a_large_temperature_changes_nothing_and_a_small_one_keeps_the_best():
    assert torch.allclose(tilted(P.log(), R, 1e9).exp(), P)
    assert tilted(P.log(), R, 1e-3).exp().tolist() == pytest.approx([1 / 3, 0, 2 / 3, 0])


def test_the_effective_sample_size_is_that_of_the_weights():
    w = torch.exp(R / 0.7)
    expected = (P * w).sum() ** 2 / (P * w**2).sum()
    assert relative_ess(P.log(), R, 0.7) == pytest.approx(expected.item())
    assert relative_ess(P.log(), torch.zeros(4).double(), 1.0) == pytest.approx(1)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_best_of_some_draws_by_brute_force(count):
    expected = torch.zeros(4, dtype=torch.float64)
    for draws in itertools.product(range(4), repeat=count):
        best = [d for d in draws if R[d] == max(R[e] for e in draws)]
        for d in best:
            expected[d] += P[list(draws)].prod() / len(best)
    assert torch.allclose(best_of(P.log(), R, count).exp(), expected)


def test_the_best_of_many_has_no_zero_where_the_distribution_has_none():
    p = torch.tensor([1e-30, 0.5, 0.5], dtype=torch.float64)
    actual = best_of(p.log(), torch.tensor([2.0, 0.0, 1.0]).double(), 8)
    assert actual.isfinite().all()
    assert actual[0].exp().item() == pytest.approx(8e-30)


def test_total_variation_is_half_the_distance():
    assert total_variation(P.log(), P.flip(0).log()) == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"beta": 0.0}, "tilting.beta must be a positive number, found 0.0"),
        ({"beta": float("nan")}, "tilting.beta must be a positive number, found nan"),
        ({"calls": 0}, "tilting.calls must be at least 1, found 0"),
        ({"best_of": 0}, "tilting.best_of must be at least 1, found 0"),
    ],
)
def test_refusals(changes, message):
    with pytest.raises(InputError, match=message):
        Tilting(**{"reward": Slope(4, [1.0, 0.0]), "beta": 1.0, "calls": 4, **changes})
