"""τ-leaping with an exact posterior draws its exactly propagated distribution."""

import numpy as np
import pytest

from tcsm.models.factorized import Factorized
from tcsm.process.paths import Path
from tcsm.process.schedules import Cosine, Linear
from tcsm.process.sources import Mask, Uniform
from tcsm.samplers.leaping import TauLeaping
from tests.enumeration import marginals, random_distribution, total_variation
from tests.samplers.distributions import chi_square, leap, output_distribution
from tests.tables import exact

V, L, COUNT = 3, 2, 100_000
P_1 = random_distribution(V, L, 12)


def alphas(schedule, steps):
    t = np.linspace(0, 1, steps + 1)
    return t if isinstance(schedule, Linear) else 1 - np.cos(np.pi * t / 2)


@pytest.mark.parametrize("source", [Mask(V), Uniform(V)], ids=["mask", "uniform"])
@pytest.mark.parametrize(("schedule", "steps"), [(Linear(), 1), (Linear(), 3), (Cosine(), 4)])
def test_empirical_distribution(source, schedule, steps):
    path = Path(source, schedule)
    distribution = output_distribution(
        leap, P_1, isinstance(source, Mask), alphas(schedule, steps)
    )
    sampled = TauLeaping(path=path, steps=steps)(Factorized(exact(path, P_1), path), COUNT, L, 0)
    statistic, bound = chi_square(sampled.tokens, distribution)
    assert statistic < bound
    # The test has power: the data's own distribution, a few percent off, would be refused.
    assert total_variation(distribution, P_1.ravel()) > 0.02
    assert chi_square(sampled.tokens, P_1.ravel())[0] > 2 * bound


def test_one_step_from_masks_is_the_product_of_marginals():
    distribution = output_distribution(leap, P_1, True, [0.0, 1.0])
    assert np.allclose(distribution, np.multiply.outer(*marginals(P_1)).ravel())


@pytest.mark.parametrize("masked", [True, False])
def test_distribution_tends_to_the_data_like_one_over_steps(masked):
    """(12.3)."""
    gaps = [
        total_variation(
            output_distribution(leap, P_1, masked, np.linspace(0, 1, n + 1)), P_1.ravel()
        )
        for n in (8, 32, 128)
    ]
    assert 3 < gaps[0] / gaps[1] < 5
    assert 3 < gaps[1] / gaps[2] < 5


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("steps", [1, 3, 7])
def test_one_position_is_exact_on_any_grid(masked, steps):
    p_1 = random_distribution(4, 1, 3)
    assert np.allclose(output_distribution(leap, p_1, masked, np.linspace(0, 1, steps + 1)), p_1)
