"""What a collection's sequences weigh, against the laws of two models that can be listed."""

import pytest
import torch
from torch.testing import assert_close

from tcsm.evaluation.enumeration import chain_distribution
from tcsm.evaluation.ordered import log_along
from tcsm.models.factorized import Factorized
from tcsm.process.paths import Path
from tcsm.process.schedules import Linear
from tcsm.process.sources import Mask
from tcsm.runs.drawing import Drawn, weighed
from tcsm.samplers.first_hitting import FirstHitting
from tests.tables import Table, number

V, L, COUNT, SEED = 2, 3, 4000, 5
PATH = Path(Mask(V), Linear())


def model(seed):
    """Nobody's posterior: any function of a partly masked sequence."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn((V + 1) ** L, L, V, generator=generator, dtype=torch.float64)
    return Factorized(Table(logits, states=V + 1), PATH)


@pytest.mark.parametrize("steps", [L, 2])
def test_weights_are_the_bases_distribution_over_that_of_the_model_that_drew(steps):
    """Log w = log p_base − log p_θ along the sampler's order: its mean is −KL, not KL."""
    theta, base = model(0), model(1)
    sampler = FirstHitting(steps=steps, path=PATH)
    x = sampler(theta, COUNT, L, SEED).tokens
    actual = weighed(Drawn(x, torch.zeros(COUNT).double(), steps), (theta, base), sampler, SEED)
    unmasking = sampler.unmasking(COUNT, L, SEED, x.device)
    t = PATH.schedule.inverse(unmasking.level)
    wanted, peer = (log_along(m, x, unmasking.order, t, unmasking.at_once) for m in (base, theta))
    assert_close(actual.log_weight, wanted - peer)
    assert actual.log_weight.mean() < -0.1
    assert actual.calls == 3 * steps
    w = actual.log_weight.exp()
    assert abs(w.mean() - 1) < 4 * w.std() / COUNT**0.5
    if steps == L:
        hits = torch.nn.functional.one_hot(number(x, V), V**L) * w[:, None]
        error = hits.std(0) / COUNT**0.5
        assert ((hits.mean(0) - chain_distribution(base, L)).abs() < 4 * error).all()
