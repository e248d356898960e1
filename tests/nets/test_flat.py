import torch

from tcsm.models.factorized import Factorized
from tcsm.nets.flat import UniformLogits
from tcsm.process.paths import Path
from tcsm.process.schedules import Linear
from tcsm.process.sources import Mask


def test_its_posterior_is_uniform_and_nothing_learns():
    model = Factorized(UniformLogits(3, 1), Path(Mask(3), Linear()))
    x_t = torch.tensor([[0, 3, 3], [3, 1, 2]])
    log_q = model.log_conditionals(x_t, torch.zeros(2), x_t == 3)
    assert torch.allclose(log_q.exp(), torch.full((3, 3), 1 / 3))
    assert not list(model.parameters())
