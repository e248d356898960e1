"""What may and what may not be called a likelihood of a joint model (11.5)."""

import pytest
import torch

from tcsm.errors import InputError
from tcsm.evaluation.bound import Count, Exact, Time
from tcsm.evaluation.joint import JointCount
from tcsm.models.factorized import Factorized
from tcsm.models.joint import Joint
from tcsm.nets.energy import Energy
from tcsm.nets.transformer import Transformer
from tcsm.process.paths import Path
from tcsm.process.schedules import Linear
from tcsm.process.sources import Mask, Uniform
from tests.enumeration import random_distribution, sequences
from tests.tables import Table, TableEnergy

V, L = 3, 2
PATH = Path(Mask(V), Linear())
ALL = torch.from_numpy(sequences(V, L))
P_1 = torch.from_numpy(random_distribution(V, L, 0))
DRAWS = 400


class OfTheData(torch.nn.Module):
    """E(x, x_t) = −log p₁(x), exact at every x_t for a uniform reference."""

    def __init__(self, distribution):
        super().__init__()
        self.distribution = distribution

    def forward(self, x, x_t, t):
        return -self.distribution[x.unbind(-1)].log()


def ideal(distribution=P_1):
    return Joint(OfTheData(distribution), Factorized(Table(torch.zeros(L, V)), PATH))


def total(model, candidates, distribution=P_1):
    """Bound averaged over p₁, and its Monte-Carlo error."""
    draws = JointCount(PATH, candidates)(model, ALL, torch.arange(len(ALL)), 0, DRAWS)
    weight = distribution.flatten()
    error = ((weight**2 * draws.nats.var(1)).sum() / DRAWS).sqrt()
    return (weight * draws.nats.mean(1)).sum().item(), error.item()


ENTROPY = -(P_1 * P_1.log()).sum().item()


@pytest.mark.parametrize("candidates", [1, 2, 8])
def test_it_is_a_bound_for_any_number_of_candidates_and_more_of_them_tighten_it(candidates):
    value, error = total(ideal(), candidates)
    assert value > ENTROPY - 3 * error
    tighter, other = total(ideal(), 200)
    assert tighter < value + 3 * (error + other)
    assert abs(tighter - ENTROPY) < 4 * other + 0.01


@pytest.mark.parametrize("axis", [0, 1])
def test_every_noised_position_is_asked_as_often(axis):
    """One position is uninformative and one informative; the first alone misses by 0.3 nats."""
    skewed = torch.tensor([[0.30, 0.25, 0.35], [0.02, 0.05, 0.005], [0.01, 0.005, 0.01]]).double()
    distribution = skewed if axis == 0 else skewed.T
    value, error = total(ideal(distribution), 200, distribution)
    assert error < 0.04
    assert abs(value + (distribution * distribution.log()).sum().item()) < 4 * error + 0.01


def test_what_it_bounds_has_total_mass_one():
    """One candidate a position, by enumeration: Σ e^{−bound} ≤ 1 over all sequences."""
    model = Joint(TableEnergy(torch.randn(V, V)), Factorized(Table(torch.randn(L, V)), PATH))
    draws = JointCount(PATH, 1)(model, ALL, torch.arange(len(ALL)), 0, 4000)
    assert (-draws.nats.mean(1)).exp().sum() < 1.02


def test_minus_log_of_the_joint_distribution_is_below_the_entropy():
    """Why other bounds refuse: (L/n) · (−log q(x₁ | x_t))/L is too good to be true."""
    hidden = -P_1.log()
    one = [-(P_1 / P_1.sum(axis, keepdim=True)).log() for axis in (0, 1)]
    wrong = (hidden / 2 + (one[0] + one[1]) / 2).mul(P_1).sum().item()
    assert wrong < ENTROPY - 0.1


@pytest.mark.parametrize(
    ("bound", "reason"),
    [
        (Count(PATH), r"no bound \(11\.5\); set bound=joint"),
        (Time(PATH), r"no bound \(11\.5\); set bound=joint"),
        (Exact(), "bound=exact needs model=autoregressive, found Joint"),
    ],
)
def test_other_bounds_refuse_a_joint_model(bound, reason):
    with pytest.raises(InputError, match=reason):
        bound.check(ideal())


def test_refusals():
    with pytest.raises(InputError, match=r"bound\.candidates .*0"):
        JointCount(PATH, 0)
    with pytest.raises(InputError, match="needs the Mask source"):
        JointCount(Path(Uniform(V), Linear()))
    with pytest.raises(InputError, match="bound=joint needs model=joint, found Factorized"):
        JointCount(PATH).check(ideal().reference)
    body = Transformer(vocabulary=V, extra=1, dim=8, depth=1, heads=2, timed=True)
    with pytest.raises(InputError, match=r"net\.timed=false"):
        JointCount(PATH).check(Joint(Energy(body), ideal().reference))
    with pytest.raises(InputError, match=r"evaluation\.draws "):
        JointCount(PATH)(ideal(), ALL, torch.arange(len(ALL)), 0, 0)
