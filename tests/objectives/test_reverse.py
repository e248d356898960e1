"""Rates and steps in the limits that join them to the bounds."""

import pytest
import torch
from torch.testing import assert_close

from tcsm.errors import InputError
from tcsm.models.factorized import Factorized, LeaveOneOut
from tcsm.noise import batch_noise
from tcsm.objectives.base import SequenceMean
from tcsm.objectives.reverse import RateMatching, StepMatching
from tcsm.process.corruption import TimeSampling
from tcsm.process.paths import Path
from tcsm.process.schedules import Linear
from tcsm.process.sources import Mask, Uniform
from tcsm.process.steps import StepSampling
from tests.tables import Table, corrupted, loss_at

V, L, B = 27, 7, 12


def test_flow_matching_of_masks_is_mdlm():
    path = Path(Mask(V), Linear())
    model = Factorized(Table(torch.randn(L, V)), path)
    x_1 = torch.randint(V, (B, L))
    drawn = TimeSampling(path)(x_1, batch_noise(0, 0, B))
    loss = loss_at(RateMatching, model, drawn, weighting=SequenceMean())
    nats = -model.net.logits.log_softmax(-1).expand(B, L, V).gather(-1, x_1[..., None])[..., 0]
    expected = (nats * drawn.noised / (1 - drawn.t)[:, None]).sum() / (B * L)
    assert_close(loss, expected)


def test_d3pm_tends_to_udlm():
    """T → ∞, the error falling like 1/T."""
    path = Path(Uniform(5), Linear())
    log_pi = torch.randn(2, 5).double()
    model = LeaveOneOut(Table(log_pi), path)
    x_1, x_t = torch.tensor([[1, 3]]), torch.tensor([[1, 0]])
    drawn = corrupted(path, x_1, x_t, torch.tensor([0.5], dtype=torch.float64))
    log_q = model.log_conditionals(x_t, drawn.t, drawn.noised).detach()
    limit = path.nelbo(log_q, x_1[0], x_t[0], drawn.t.expand(2)).sum()

    def error(steps):
        objective = StepMatching(corruption=StepSampling(path, steps), weighting=SequenceMean())
        return objective.position_loss(drawn, 0)(log_q, drawn.positions()).sum() - limit

    assert error(1000) / error(2000) == pytest.approx(2, rel=0.02)
    assert error(2000).abs() < 0.01 * limit


def test_steps_need_a_grid():
    corruption = TimeSampling(Path(Mask(V), Linear()))
    with pytest.raises(InputError, match="needs corruption=steps, found TimeSampling"):
        StepMatching(corruption=corruption, weighting=SequenceMean())
