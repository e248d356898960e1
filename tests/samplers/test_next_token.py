import pytest
import torch

from tcsm.errors import InputError
from tcsm.models.autoregressive import Autoregressive
from tcsm.models.factorized import Factorized
from tcsm.nets.transformer import Transformer
from tcsm.process.paths import Path
from tcsm.process.schedules import Linear
from tcsm.process.sources import Mask
from tcsm.samplers.next_token import NextToken
from tests.enumeration import sequences
from tests.samplers.distributions import chi_square

V, L = 3, 3


def awake():
    net = Transformer(vocabulary=V, extra=1, dim=8, depth=1, heads=1, causal=True, stem=3)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return Autoregressive(net)


def test_draws_the_models_own_distribution():
    model = awake()
    with torch.no_grad():
        distribution = model.log_prob(torch.from_numpy(sequences(V, L))).exp().numpy()
    sampled = NextToken(steps=1)(model, 30_000, L, 0)
    statistic, bound = chi_square(sampled.tokens, distribution / distribution.sum())
    assert statistic < bound
    assert sampled.network_calls == L


def test_is_a_function_of_the_seed():
    model = awake()
    first, again, other = (NextToken(steps=1)(model, 20, L, seed).tokens for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_posterior_is_refused():
    model = Factorized(awake().net, Path(Mask(V), Linear()))
    with pytest.raises(InputError, match="needs model=autoregressive, found Factorized"):
        NextToken(steps=1)(model, 2, L, 0)
