import pytest
import torch
from torch.testing import assert_close

from tcsm.errors import InputError
from tcsm.noise import batch_noise
from tcsm.process.paths import Path
from tcsm.process.schedules import Cosine, Linear
from tcsm.process.sources import Mask
from tcsm.process.steps import StepSampling

V, B = 4, 12


def test_times_lie_on_the_grid_each_as_often():
    drawn = StepSampling(Path(Mask(V), Linear()), 4)(
        torch.zeros(B, 5).long(), batch_noise(0, 0, B)
    )
    assert sorted((drawn.t * 4).tolist()) == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert drawn.noised[drawn.t == 0].all()


@pytest.mark.parametrize("steps", [1, 3, 1000])
def test_next_time_and_weights_of_the_steps(steps):
    corruption = StepSampling(Path(Mask(V), Cosine()), steps)
    t = torch.arange(steps).double() / steps
    assert_close(corruption.after(t), torch.arange(1, steps + 1).double() / steps)
    drawn = corruption(torch.zeros(B, 2).long(), batch_noise(0, 0, B))
    s = corruption.after(drawn.t)
    alpha_t, alpha_s = Cosine().alpha(drawn.t), Cosine().alpha(s)
    assert_close(drawn.omega, steps * (alpha_s - alpha_t) / (1 - alpha_t))


def test_many_steps_weigh_like_continuous_time():
    drawn = StepSampling(Path(Mask(V), Cosine()), 10**6)(
        torch.zeros(B, 2).long(), batch_noise(0, 0, B)
    )
    assert_close(drawn.omega, Cosine().kappa(drawn.t), rtol=1e-4, atol=0)


def test_a_grid_without_steps_is_refused():
    with pytest.raises(InputError, match=r"corruption\.steps .*0"):
        StepSampling(Path(Mask(V), Linear()), 0)
