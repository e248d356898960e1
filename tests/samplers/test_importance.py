"""Resampled candidates, step by step, against the distribution of the data."""

import pytest
import torch
from torch import nn

from tcsm.errors import InputError
from tcsm.models.factorized import Factorized
from tcsm.models.joint import Joint
from tcsm.process.paths import Path
from tcsm.process.schedules import Linear
from tcsm.process.sources import Mask, Uniform
from tcsm.samplers.ancestral import Ancestral
from tcsm.samplers.importance import Importance
from tests.enumeration import random_distribution
from tests.tables import Table

V, L = 3, 2
MASKED, NOISED = Path(Mask(V), Linear()), Path(Uniform(V), Linear())
P_1 = torch.from_numpy(random_distribution(V, L, 0))


class OfTheData(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.nothing = nn.Parameter(torch.zeros(()))

    def forward(self, x, x_t, t):
        return -P_1[x.unbind(-1)].log()


def joint(path):
    """Exact for masks: a uniform reference and E = −log p₁."""
    return Joint(OfTheData(), Factorized(Table(torch.zeros(L, V)), path))


def distribution(tokens):
    return torch.bincount(tokens[:, 0] * V + tokens[:, 1], minlength=V * V) / len(tokens)


def test_one_step_with_many_candidates_draws_the_joint_distribution_where_marginals_cannot():
    """From pure noise a joint model needs a single step, up to O(1/K)."""
    sampler = Importance(steps=1, path=MASKED, candidates=64)
    drawn = sampler(joint(MASKED), 20000, L, seed=0)
    assert (distribution(drawn.tokens) - P_1.flatten()).abs().sum() / 2 < 0.02
    product = (P_1.sum(1)[:, None] * P_1.sum(0)).flatten()
    assert (product - P_1.flatten()).abs().sum() / 2 > 0.1
    assert drawn.network_calls == 65


@pytest.mark.parametrize("path", [MASKED, NOISED], ids=["mask", "uniform"])
def test_samples_are_clean_and_a_function_of_the_seed(path):
    sampler = Importance(steps=3, path=path, candidates=2)
    first, again = (sampler(joint(path), 50, L, seed=1).tokens for _ in range(2))
    assert ((first >= 0) & (first < V)).all()
    assert torch.equal(first, again)
    assert not torch.equal(first, sampler(joint(path), 50, L, seed=2).tokens)


def test_before_a_time_there_is_one_draw_of_the_reference():
    late, never = (
        Importance(steps=4, path=MASKED, candidates=5, since=time) for time in (0.5, 1.0)
    )
    one = Importance(steps=4, path=MASKED, candidates=1)
    drawn = never(joint(MASKED), 50, L, seed=1)
    assert torch.equal(drawn.tokens, one(joint(MASKED), 50, L, seed=1).tokens)
    assert (drawn.network_calls, late(joint(MASKED), 9, L, seed=1).network_calls) == (4, 14)


def test_refusals():
    with pytest.raises(InputError, match=r"sampler\.since .*2"):
        Importance(steps=1, path=MASKED, since=2.0)
    with pytest.raises(InputError, match=r"sampler\.candidates .*0"):
        Importance(steps=1, path=MASKED, candidates=0)
    sampler = Importance(steps=1, path=MASKED)
    with pytest.raises(InputError, match="importance needs model=joint, found Factorized"):
        sampler(joint(MASKED).reference, 1, L, seed=0)
    with pytest.raises(InputError, match="importance for a joint one"):
        Ancestral(steps=1, path=MASKED)(joint(MASKED), 1, L, seed=0)
