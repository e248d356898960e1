"""Remasking draws its exactly propagated distribution, and keeps each position's marginal."""

import numpy as np
import pytest

from tcsm.errors import InputError
from tcsm.models.factorized import Factorized
from tcsm.process.paths import Path
from tcsm.process.schedules import Linear
from tcsm.process.sources import Mask, Uniform
from tcsm.samplers.remasking import Capped, Remasking, Rescaled
from tests.enumeration import random_distribution, sequences
from tests.samplers.distributions import ancestral, chi_square, output_distribution
from tests.tables import exact

V, L, STEPS = 3, 2, 3
P_1 = random_distribution(V, L, 12)
PATH = Path(Mask(V), Linear())
GRID = np.linspace(0, 1, STEPS + 1)


def remask(sigma):
    """The step whose σ is a function of σ_max, (N, L, states)."""

    def step(q, alpha_t, alpha_s, masked):
        vocabulary, length = q.shape[-1], q.shape[1]
        most = min(1.0, (1 - alpha_s) / alpha_t) if alpha_t else 1.0
        x_t, stay = sequences(vocabulary + 1, length), np.eye(vocabulary + 1)
        chance = (alpha_s - (1 - sigma(most)) * alpha_t) / (1 - alpha_t)
        filled = chance * np.pad(q, ((0, 0), (0, 0), (0, 1))) + (1 - chance) * stay[vocabulary]
        kept = (1 - sigma(most)) * stay[x_t] + sigma(most) * stay[vocabulary]
        return np.where((x_t == vocabulary)[..., None], filled, kept)

    return step


@pytest.mark.parametrize(
    ("rate", "sigma"),
    [(Capped(0.4), lambda most: min(0.4, most)), (Rescaled(0.7), lambda most: 0.7 * most)],
    ids=["capped", "rescaled"],
)
def test_the_distribution_is_the_propagated_one(rate, sigma):
    expected = output_distribution(remask(sigma), P_1, True, GRID)
    sampler = Remasking(steps=STEPS, path=PATH, rate=rate)
    drawn = sampler(Factorized(exact(PATH, P_1), PATH), 100_000, L, 0)
    statistic, bound = chi_square(drawn.tokens, expected)
    assert statistic < bound
    assert chi_square(drawn.tokens, output_distribution(ancestral, P_1, True, GRID))[0] > bound


def test_without_remasking_it_is_ancestral():
    both = [
        output_distribution(step, P_1, True, GRID) for step in (remask(lambda _: 0), ancestral)
    ]
    assert np.allclose(*both)


def test_one_position_is_exact():
    p_1 = random_distribution(4, 1, 3)
    assert np.allclose(output_distribution(remask(lambda most: most), p_1, True, GRID), p_1)


def test_bad_values_are_named():
    with pytest.raises(InputError, match=r"sampler\.rate\.eta must be in \[0, 1\], found 2\.0"):
        Capped(2.0)
    with pytest.raises(InputError, match="Mask source, found Uniform"):
        Remasking(steps=1, path=Path(Uniform(V), Linear()))
