import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from tcsm.errors import InputError
from tcsm.process.schedules import Cosine, Linear, Polynomial

SCHEDULES = [Linear(), Cosine(), Polynomial(2.0), Polynomial(0.5), Polynomial(3.7)]
every = pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
INSIDE = torch.linspace(0.01, 0.99, 50, dtype=torch.float64)


@every
def test_rises_from_noise_to_data(schedule):
    ends = schedule.alpha(torch.tensor([0.0, 1.0]).double())
    assert_close(ends, torch.tensor([0.0, 1.0]).double(), atol=1e-15, rtol=0)
    assert (schedule.alpha(INSIDE).diff() > 0).all()


@every
def test_derivative_by_autograd_and_rate(schedule):
    t = INSIDE.clone().requires_grad_()
    (slope,) = torch.autograd.grad(schedule.alpha(t).sum(), t)
    assert_close(schedule.alpha_dot(INSIDE), slope)
    assert_close(schedule.kappa(INSIDE), slope / (1 - schedule.alpha(INSIDE)))


@every
@given(alpha=st.floats(0, 1))
def test_inverse(schedule, alpha):
    alpha = torch.tensor(alpha).double()
    assert_close(schedule.alpha(schedule.inverse(alpha)), alpha, atol=1e-12, rtol=1e-9)


def test_closed_forms():
    assert_close(Cosine().alpha(INSIDE), 1 - torch.cos(math.pi / 2 * INSIDE))
    assert_close(Polynomial(2.0).kappa(INSIDE), 2 * INSIDE / (1 - INSIDE**2))
    assert Linear().kappa(torch.ones(1).double()) == math.inf


def test_cosine_keeps_its_digits_near_noise():
    t = torch.tensor(1e-8).double()
    assert_close(Cosine().alpha(t), (math.pi * t / 2) ** 2 / 2, rtol=1e-12, atol=0)


@pytest.mark.parametrize("power", [0.0, -1.0, math.nan])
def test_a_power_that_does_not_rise_is_refused(power):
    with pytest.raises(InputError, match=r"schedule\.power "):
        Polynomial(power)
