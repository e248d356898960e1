"""Targets against Bayes' rule over all sequences."""

import pytest
import torch
from torch.testing import assert_close

from tcsm.models.teacher import Tabulated
from tcsm.process.paths import Path
from tcsm.process.schedules import Cosine, Linear
from tcsm.process.sources import Mask, Uniform
from tcsm.targets.bayes import Bayes
from tests.enumeration import bayes, kernel, random_distribution
from tests.tables import corrupted

V = L = 3
LAW = random_distribution(V, L, 0)
TEACHER = Tabulated(torch.from_numpy(LAW).log())


def given_the_others(x_1, x_t, position, matrix):
    """p(x₁^i = · | x₁^{≠i}, x_t) from the joint posterior."""
    joint, _ = bayes(LAW, x_t.numpy(), matrix)
    row = joint[tuple(slice(None) if i == position else int(x_1[i]) for i in range(L))]
    return torch.from_numpy(row / row.sum())


@pytest.mark.parametrize("schedule", [Linear(), Cosine()], ids=str)
@pytest.mark.parametrize("t", [0.1, 0.6, 0.95])
@pytest.mark.parametrize(
    ("source", "x_t"),
    [(Mask(V), [[V, 2, V], [1, V, 0]]), (Uniform(V), [[1, 0, 1], [2, 2, 0]])],
    ids=["mask", "uniform"],
)
def test_targets_are_bayes_by_enumeration(source, x_t, t, schedule):
    path, x_1, x_t = (
        Path(source, schedule),
        torch.tensor([[0, 2, 1], [1, 2, 0]]),
        torch.tensor(x_t),
    )
    drawn = corrupted(path, x_1, x_t, torch.tensor([t, t]))
    alpha = schedule.alpha(torch.tensor(t).double()).item()
    matrix = kernel(alpha, V, isinstance(source, Mask))
    expected = [
        given_the_others(x_1[row], x_t[row], position, matrix)
        for row, position in drawn.noised.nonzero().tolist()
    ]
    assert_close(Bayes(TEACHER, path)(drawn).exp(), torch.stack(expected), atol=1e-7, rtol=0)


def test_leaving_out_the_evidence_biases_uniform_targets():
    path = Path(Uniform(V), Linear())
    x_1, x_t = torch.tensor([[0, 2, 1]]), torch.tensor([[0, 1, 1]])
    drawn = corrupted(path, x_1, x_t, torch.tensor([0.5]))
    right = Bayes(TEACHER, path)(drawn).exp()
    wrong = TEACHER.log_conditionals(x_1, drawn.noised).exp()
    assert ((right - wrong).abs().sum(-1) / 2).max() > 0.1
    here = x_t[0]
    assert (right[range(L), here] > wrong[range(L), here]).all()


def test_targets_need_no_gradient():
    teacher = Tabulated(torch.from_numpy(LAW).log().requires_grad_())
    path = Path(Mask(V), Linear())
    drawn = corrupted(
        path, torch.tensor([[0, 1, 2]]), torch.tensor([[V, V, 2]]), torch.ones(1) / 2
    )
    assert not Bayes(teacher, path)(drawn).requires_grad
