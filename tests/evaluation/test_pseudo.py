import pytest
import torch
from torch.testing import assert_close

from tcsm.errors import InputError
from tcsm.evaluation.pseudo import Pseudo
from tcsm.models.autoregressive import Autoregressive
from tcsm.models.teacher import Tabulated
from tcsm.nets.transformer import Transformer
from tests.enumeration import random_distribution, sequences

V, L = 3, 3


def test_it_sums_the_conditionals_of_a_table():
    distribution = torch.from_numpy(random_distribution(V, L, 0))
    x = torch.from_numpy(sequences(V, L))
    actual = Pseudo()(Tabulated(distribution.log()), x, torch.arange(len(x)), 0)
    by_hand = sum(
        (distribution.sum(position, keepdim=True) / distribution)
        .log()
        .expand(distribution.shape)
        .flatten()
        for position in range(L)
    )
    assert_close(actual.nats[:, 0], by_hand)
    assert_close(actual.noised_nats, actual.nats / L)
    assert actual.level.isnan().all()
    total = (distribution.flatten() * actual.nats[:, 0]).sum()
    assert (
        total < -(distribution * distribution.log()).sum()
    )  # Σ H(x^i | x^{≠i}) is at most the entropy


def test_another_model_is_refused():
    net = Transformer(vocabulary=V, extra=1, dim=8, depth=1, heads=1, causal=True)
    with pytest.raises(InputError, match="bound=pseudo needs model=blind or masked_lm"):
        Pseudo().check(Autoregressive(net))
