"""Ancestral sampling with an exact posterior draws its exactly propagated distribution."""

import numpy as np
import pytest
import torch

from tcsm.models.factorized import Factorized
from tcsm.noise import batch_noise
from tcsm.process.paths import Path
from tcsm.process.schedules import Linear, Polynomial
from tcsm.process.sources import Mask, Uniform
from tcsm.samplers.ancestral import Ancestral
from tcsm.samplers.grids import Cosine
from tcsm.samplers.stepping import SamplerStep
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
    oracle.function = lambda x, t: seen.extend(t.tolist()) or function(x, t)
    Ancestral(path=path, steps=4)(Factorized(oracle, path), 30, L, 0)
    assert set(seen) == {0, 0.25, 0.5, 0.75}


def test_steps_on_a_cosine_grid():
    """With an exact posterior: the distribution that enumeration gives for this grid."""
    path, steps = Path(Mask(V), Linear()), 3
    alphas = 1 - np.cos(np.pi * np.arange(steps + 1) / (2 * steps))
    distribution = output_distribution(ancestral, P_1, True, alphas)
    model = Factorized(exact(path, P_1), path)
    sampled = Ancestral(path=path, steps=steps, grid=Cosine())(model, COUNT, L, 0)
    statistic, bound = chi_square(sampled.tokens, distribution)
    assert statistic < bound
    uniform = output_distribution(ancestral, P_1, True, np.linspace(0, 1, steps + 1))
    assert chi_square(sampled.tokens, uniform)[0] > bound


@pytest.mark.parametrize("source", [Mask(V), Uniform(V)], ids=["mask", "uniform"])
def test_outcomes_are_the_bridge_for_every_data_value(source):
    """The step without the model is the bridge from x₁, drawn by the same uniforms, for all x₁."""
    path, noise = Path(source, Linear()), batch_noise(3, 1, 400)
    x_t = (noise.uniform("state", L) * source.states).long()
    times = [torch.full((len(x_t),), time).double() for time in (0.3, 0.6)]
    noised = source.noised(x_t)
    step = SamplerStep(x_t, noised, *times, noise)
    outcomes = Ancestral(path=path, steps=2).outcomes(step)
    alpha = [path.alpha(time)[:, None].expand(x_t.shape) for time in times]
    u = noise.uniform("step", L, 3)
    for token in range(V):
        x_1 = torch.where(noised, token, x_t)
        expected = path.bridge(x_t, x_1, *alpha).draw(x_t, x_1, source, u[..., 1:])
        assert torch.equal(outcomes.state(x_t, x_1)[noised], expected[noised])
    share = outcomes.undecided()[noised].double().mean()
    assert 0.2 < share < (0.5 if isinstance(source, Mask) else 0.7)  # (α_s − α_t)/(1 − α_t) = 3/7
