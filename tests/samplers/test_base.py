import pytest
import torch

from tcsm.errors import InputError
from tcsm.models.factorized import Factorized, LeaveOneOut
from tcsm.process.paths import Path
from tcsm.process.schedules import Cosine, Linear
from tcsm.process.sources import Mask, Uniform
from tcsm.samplers.first_hitting import FirstHitting
from tests.samplers.walks import called, walks
from tests.tables import Table

V, L = 5, 6
MASKED, NOISED = Path(Mask(V), Cosine()), Path(Uniform(V), Linear())
SAMPLERS = walks(MASKED, NOISED)
every = pytest.mark.parametrize("sampler", SAMPLERS, ids=called)


def model(path):
    return LeaveOneOut(Table(torch.randn(L, V)), path)


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
    with pytest.raises(InputError, match=r"sampler\.steps .*0"):
        type(sampler)(path=sampler.path, steps=0)
