from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tcsm.errors import InputError
from tcsm.posteriors.factorized import Factorized, LeaveOneOut
from tcsm.process.paths import Path
from tcsm.process.schedules import Cosine, Linear
from tcsm.process.sources import Mask, Uniform
from tcsm.samplers.ancestral import Ancestral
from tcsm.samplers.base import categorical
from tcsm.samplers.first_hitting import FirstHitting
from tcsm.samplers.leaping import TauLeaping
from tests.tables import Table

V, L = 5, 6
double = partial(torch.tensor, dtype=torch.float64)
MASKED, NOISED = Path(Mask(V), Cosine()), Path(Uniform(V), Linear())
SAMPLERS = [
    TauLeaping(path=MASKED, steps=4),
    TauLeaping(path=NOISED, steps=4),
    Ancestral(path=MASKED, steps=4),
    Ancestral(path=NOISED, steps=4),
    FirstHitting(path=MASKED, steps=4),
]
every = pytest.mark.parametrize(
    "sampler", SAMPLERS, ids=lambda s: f"{type(s).__name__}-{type(s.path.source).__name__}"
)


def model(path):
    return LeaveOneOut(Table(torch.randn(L, V)), path)


def test_categorical_inverts_the_distribution_function():
    log_p = double([[0.2, 0.0, 0.5, 0.3]]).log().expand(8, -1)
    u = double([0.0, 0.1999, 0.2001, 0.4, 0.6999, 0.7001, 0.9, 1 - 2**-53])
    assert categorical(log_p, u).tolist() == [0, 0, 2, 2, 2, 3, 3, 3]


@given(
    st.lists(st.floats(-30, 0), min_size=2, max_size=8),
    st.floats(0, 1, exclude_max=True),
    st.integers(0, 7),
)
def test_categorical_never_draws_the_impossible(logits, u, zero):
    log_p = double([logits])
    log_p[0, zero % len(logits)] = -torch.inf
    drawn = categorical(log_p, double([u]))
    assert 0 <= drawn < len(logits)
    assert log_p[0, drawn] > -torch.inf


def test_categorical_draws_tokens_eighteen_nats_down():
    """(12.6): single-precision uniforms live on 2⁻²⁴ and would miss e⁻¹⁸ nearly always.

    The strip of u that gives the rare token has its exact width, to a part in 10⁶.
    """
    log_p = double([[0.0, -18.0]]).log_softmax(-1)
    rare = log_p[0, 1].exp().item()
    edge = double([1 - rare * (1 + 1e-6), 1 - rare * (1 - 1e-6)])
    assert categorical(log_p.expand(2, -1), edge).tolist() == [0, 1]
    # Rare tokens in front: single-precision sums would lose them beside the common one.
    front = log_p.flip(-1).expand(2, -1)
    edge = double([rare * (1 - 1e-6), rare * (1 + 1e-6)])
    assert categorical(front, edge).tolist() == [0, 1]


def test_categorical_sees_many_rare_tokens_behind_a_common_one():
    """A tail of 1000 tokens of e⁻¹⁸ each, at the right end of the distribution function."""
    log_p = torch.cat([torch.zeros(1), torch.full((1000,), -18.0)]).log_softmax(-1)
    tail = 1000 * log_p[1].exp()
    u = 1 - tail * (1 - (torch.arange(1000).double() + 0.5) / 1000)
    drawn = categorical(log_p.expand(1000, -1), u)
    assert torch.equal(drawn, torch.arange(1, 1001))


@every
def test_samples_are_clean_and_a_function_of_the_seed(sampler):
    posterior = model(sampler.path)
    first, again = (sampler(posterior, 16, L, seed=3) for _ in range(2))
    assert first.tokens.shape == (16, L)
    assert ((first.tokens >= 0) & (first.tokens < V)).all()
    assert torch.equal(first.tokens, again.tokens)
    assert not torch.equal(first.tokens, sampler(posterior, 16, L, seed=4).tokens)
    assert len(first.tokens.unique(dim=0)) > 8
    assert not first.tokens.requires_grad


@every
def test_more_sequences_do_not_change_the_first(sampler):
    posterior = model(sampler.path)
    few, many = (sampler(posterior, count, L, seed=3).tokens for count in (5, 9))
    assert torch.equal(many[:5], few)


@every
@pytest.mark.parametrize("steps", [1, 3, 50])
def test_calls_are_counted_and_no_mask_remains(sampler, steps):
    sampler = type(sampler)(path=sampler.path, steps=steps)
    posterior = Factorized(Table(torch.randn(L, V)), sampler.path)
    calls = []
    posterior.net.register_forward_hook(lambda *_: calls.append(1))
    sampled = sampler(posterior, 4, L, seed=0)
    assert (sampled.tokens < V).all()
    assert len(calls) <= sampled.network_calls
    bound = min(steps, L) if isinstance(sampler, FirstHitting) else steps
    assert sampled.network_calls <= bound


@every
def test_a_grid_without_steps_is_refused(sampler):
    with pytest.raises(InputError, match=r"sampler\.steps must be at least 1, found 0"):
        type(sampler)(path=sampler.path, steps=0)
