"""The order by confidence: exact where it does not depend on the draws, one position at a time."""

import pytest
import torch

from tcsm.errors import InputError
from tcsm.models.factorized import Factorized
from tcsm.process.paths import Path
from tcsm.process.schedules import Linear
from tcsm.process.sources import Mask, Uniform
from tcsm.samplers.conditioning import Conditioning
from tcsm.samplers.confidence import Confidence, DrawnToken, LikeliestToken, NegativeEntropy
from tests.enumeration import random_distribution
from tests.samplers.distributions import chi_square
from tests.tables import Table, exact

V, L, COUNT = 3, 2, 100_000
P_1 = random_distribution(V, L, 12)
PATH = Path(Mask(V), Linear())


def _by_confidence(count: int = COUNT, steps: int = L, **options):
    sampler = Confidence(steps=steps, path=PATH, **options)
    return sampler(Factorized(exact(PATH, P_1), PATH), count, L, 0)


@pytest.mark.parametrize("order", [LikeliestToken(), NegativeEntropy()])
def test_an_order_that_reads_x_t_alone_draws_from_the_data(order):
    statistic, bound = chi_square(_by_confidence(order=order).tokens, P_1.ravel())
    assert statistic < bound


def test_the_order_by_drawn_tokens_has_its_own_distribution():
    """Enumerated: both positions are drawn, the likelier draw stays, the other is drawn anew."""
    marginal = [P_1.sum(1), P_1.sum(0)]
    expected = 0 * P_1
    for a in range(V):
        for b in range(V):
            chance = marginal[0][a] * marginal[1][b]
            if marginal[0][a] >= marginal[1][b]:
                expected[a] += chance * P_1[a] / P_1[a].sum()
            else:
                expected[:, b] += chance * P_1[:, b] / P_1[:, b].sum()
    tokens = _by_confidence(order=DrawnToken()).tokens
    statistic, bound = chi_square(tokens, expected.ravel())
    assert statistic < bound
    assert chi_square(tokens, P_1.ravel())[0] > 2 * bound


def test_blocks_of_one_position_are_left_to_right():
    drawn = _by_confidence(block=1)
    statistic, bound = chi_square(drawn.tokens, P_1.ravel())
    assert statistic < bound
    assert drawn.changed.unique(dim=0).tolist() == [[1, 2]]


def test_known_positions_stay_and_cost_no_call():
    table = Factorized(Table(torch.randn(7, V)), PATH)
    known = Conditioning(torch.arange(7) % V, torch.arange(7) % 3 == 0)
    drawn = Confidence(steps=2, path=PATH, block=4)(table, 5, 7, 0, known)
    assert drawn.tokens[:, known.fixed].tolist() == [[0, 0, 0]] * 5
    assert drawn.network_calls == 2
    assert int(drawn.tokens.max()) < V


def test_bad_values_are_named():
    with pytest.raises(InputError, match="Mask source, found Uniform"):
        Confidence(steps=1, path=Path(Uniform(V), Linear()))
    with pytest.raises(InputError, match=r"sampler\.block must be at least 1 or null, found 0"):
        Confidence(steps=1, path=PATH, block=0)
