"""Ancestral sampling with an exact posterior draws its exactly propagated distribution."""

import numpy as np
import pytest

from tcsm.models.factorized import Factorized
from tcsm.process.paths import Path
from tcsm.process.schedules import Linear, Polynomial
from tcsm.process.sources import Mask, Uniform
from tcsm.samplers.ancestral import Ancestral
from tests.enumeration import random_distribution, total_variation
from tests.samplers.distributions import ancestral, chi_square, leap, output_distribution
from tests.tables import exact

V, L, COUNT = 3, 2, 100_000
P_1 = random_distribution(V, L, 12)


@pytest.mark.parametrize("source", [Mask(V), Uniform(V)], ids=["mask", "uniform"])
@pytest.mark.parametrize(("power", "steps"), [(1, 1), (1, 3), (2, 4)])
def test_empirical_distribution(source, power, steps):
    path = Path(source, Polynomial(float(power)))
    alphas = np.linspace(0, 1, steps + 1) ** power
    distribution = output_distribution(ancestral, P_1, isinstance(source, Mask), alphas)
    sampled = Ancestral(path=path, steps=steps)(Factorized(exact(path, P_1), path), COUNT, L, 0)
    statistic, bound = chi_square(sampled.tokens, distribution)
    assert statistic < bound
    assert total_variation(distribution, P_1.ravel()) > 0.02
    assert chi_square(sampled.tokens, P_1.ravel())[0] > 2 * bound


def test_for_masks_it_is_leaping_and_for_uniform_noise_it_is_not():
    grid = np.linspace(0, 1, 4)
    assert np.allclose(
        output_distribution(ancestral, P_1, True, grid), output_distribution(leap, P_1, True, grid)
    )
    noised, leaped = (output_distribution(step, P_1, False, grid) for step in (ancestral, leap))
    assert total_variation(noised, leaped) > 1e-3


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("steps", [1, 3, 7])
def test_one_position_is_exact_on_any_grid(masked, steps):
    p_1 = random_distribution(4, 1, 3)
    assert np.allclose(
        output_distribution(ancestral, p_1, masked, np.linspace(0, 1, steps + 1)), p_1
    )


def test_distribution_tends_to_the_data():
    gaps = [
        total_variation(
            output_distribution(ancestral, P_1, False, np.linspace(0, 1, n + 1)), P_1.ravel()
        )
        for n in (4, 16, 64)
    ]
    assert gaps[0] > 2 * gaps[1] > 4 * gaps[2]


def test_exact_posterior_of_a_linear_path_is_used_at_its_own_time():
    """Uniform posteriors depend on t: a sampler that handed on the new time would be refused."""
    path = Path(Uniform(V), Linear())
    seen = []
    oracle = exact(path, P_1)
    function = oracle.function
    oracle.function = lambda x, t: seen.append(float(t[0])) or function(x, t)
    Ancestral(path=path, steps=4)(Factorized(oracle, path), 3, L, 0)
    assert seen == [0, 0.25, 0.5, 0.75]
