"""A redraw leaves the noised distribution invariant, and redraws bring samples nearer to p₁."""

import numpy as np
import pytest
import torch

from tcsm.models.factorized import Factorized
from tcsm.noise import batch_noise
from tcsm.process.paths import Path
from tcsm.process.schedules import Linear
from tcsm.process.sources import Mask, Uniform
from tcsm.samplers.corrected import Corrected
from tests.enumeration import kernel, marginal_distribution, random_distribution, sequences
from tests.samplers.distributions import chi_square
from tests.tables import exact

V, L, COUNT, S = 3, 2, 100_000, 0.6
P_1 = random_distribution(V, L, 12)
SOURCES = pytest.mark.parametrize("source", [Mask(V), Uniform(V)], ids=["mask", "uniform"])


@SOURCES
@pytest.mark.parametrize("free", [[True, True], [False, True]])
def test_a_redraw_leaves_the_noised_distribution_invariant(source, free):
    path, states = Path(source, Linear()), V + isinstance(source, Mask)
    distribution = marginal_distribution(P_1, kernel(S, V, isinstance(source, Mask)))
    rng = np.random.default_rng(0)
    rows = rng.choice(len(distribution), COUNT, p=distribution)
    x = torch.from_numpy(sequences(states, L)[rows])
    after = Corrected(steps=1, path=path).redraw(
        Factorized(exact(path, P_1), path),
        x,
        torch.full((COUNT,), S, dtype=torch.float64),
        torch.tensor(free),
        batch_noise(0, 0, COUNT),
        0,
    )
    assert (after != x).float().mean() > 0.1
    assert (after != x).any(0).tolist() == free
    statistic, bound = chi_square(after, distribution)
    assert statistic < bound


@pytest.mark.parametrize(("source", "left"), [(Mask(V), 0.2), (Uniform(V), 0.95)])
def test_redraws_remove_error_of_the_steps(source, left):
    """With uniform noise most of the error is of the last step, which has no redraws."""
    path = Path(source, Linear())
    model = Factorized(exact(path, P_1), path)
    plain, corrected = (
        Corrected(steps=3, path=path, redraws=redraws)(model, 40_000, L, 0) for redraws in (0, 4)
    )
    assert (plain.network_calls, corrected.network_calls) == (3, 11)
    gaps = [chi_square(drawn.tokens, P_1.ravel())[0] for drawn in (plain, corrected)]
    assert gaps[1] < left * gaps[0]
