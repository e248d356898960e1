import torch
from torch.testing import assert_close

from tcsm.models.teacher import Tabulated, substitute
from tests.enumeration import random_distribution

V, L = 3, 4


def test_table_gives_conditionals_by_enumeration():
    distribution = random_distribution(V, L, 0)
    teacher = Tabulated(torch.from_numpy(distribution).log() + 5)
    x = torch.tensor([[0, 2, 1, 1], [2, 2, 0, 1]])
    positions = torch.tensor([[True, False, True, False], [False, False, False, True]])
    actual = teacher.log_conditionals(x, positions).exp()
    rows = [distribution[:, 2, 1, 1], distribution[0, 2, :, 1], distribution[2, 2, 0, :]]
    assert_close(actual, torch.stack([torch.from_numpy(row / row.sum()) for row in rows]))
    assert teacher.log_conditionals(x, torch.zeros_like(positions)).shape == (0, V)


def test_the_token_at_the_position_itself_does_not_matter():
    teacher = Tabulated(torch.from_numpy(random_distribution(V, L, 1)).log())
    positions = torch.tensor([[False, True, False, False]] * V)
    x = torch.tensor([[0, y, 1, 2] for y in range(V)])
    actual = teacher.log_conditionals(x, positions)
    assert_close(actual, actual[:1].expand(V, V))


def test_substitution_rewrites_one_position():
    x, column = torch.tensor([[0, 1, 2], [2, 2, 2]]), torch.tensor([1, 0])
    actual = substitute(x, column, torch.tensor([[0, 2], [1, 2]]))
    assert actual.tolist() == [[[0, 0, 2], [0, 2, 2]], [[1, 2, 2], [2, 2, 2]]]
    assert x.tolist() == [[0, 1, 2], [2, 2, 2]]
