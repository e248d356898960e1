from dataclasses import dataclass

import pytest
import torch

from tcsm.errors import InputError
from tcsm.models.factorized import Factorized, LeaveOneOut
from tcsm.noise import categorical
from tcsm.process.paths import Path
from tcsm.process.schedules import Cosine, Linear
from tcsm.process.sources import Mask, Uniform
from tcsm.samplers import grids
from tcsm.samplers.ancestral import Ancestral
from tcsm.samplers.first_hitting import FirstHitting
from tcsm.samplers.grids import Grid
from tcsm.samplers.leaping import TauLeaping
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


@pytest.mark.parametrize("count", [1, 40])
@every
def test_a_batch_of_any_size_takes_the_calls_of_one_sequence_and_logits_where_it_draws(
    sampler, count
):
    """With more steps than positions: each masked position is drawn once, by its own logits."""
    sampler, read = type(sampler)(path=sampler.path, steps=50), []
    posterior = Factorized(Table(torch.randn(L, V)), sampler.path)
    posterior.net.register_forward_hook(lambda _, inputs, logits: read.append(len(logits)))
    assert sampler(posterior, count, L, seed=0).tokens.shape == (count, L)
    if isinstance(sampler.path.source, Mask):
        assert len(read) <= L
        assert sum(read) <= count * L
    else:
        assert len(read) <= 50
        assert sum(read) < 50 * count * L / 2


@every
def test_a_grid_without_steps_is_refused(sampler):
    with pytest.raises(InputError, match=r"sampler\.steps .*0"):
        type(sampler)(path=sampler.path, steps=0)


@pytest.mark.parametrize("kind", [Ancestral, TauLeaping])
def test_masked_positions_are_read_once_each_in_at_most_one_call_a_position(kind):
    """With many more steps than positions, most steps leave a sequence as it is."""
    posterior, read = Factorized(Table(torch.randn(L, V)), MASKED), []
    posterior.net.timed = True
    posterior.net.register_forward_hook(lambda _, inputs, __: read.append(inputs[2].sum()))
    sampled = kind(path=MASKED, steps=60)(posterior, 8, L, seed=0)
    assert len(read) <= sampled.network_calls == L
    assert sum(read) == 8 * L


def test_sequences_are_read_a_few_at_a_time_and_equal_ones_once(monkeypatch):
    monkeypatch.setattr("tcsm.models.factorized.CACHED_TOKENS", 4 * L)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    posterior = Factorized(Table(torch.randn(L, V)), MASKED)
    x_t, u = torch.full((9, L), V), torch.rand(9, L).double()
    positions = torch.rand(9, L) < 0.4
    t = torch.rand(9).double()
    expected = categorical(posterior.log_conditionals(x_t, t, positions), u[positions])
    read = []
    posterior.net.register_forward_hook(lambda _, inputs, __: read.append(len(inputs[0])))
    assert torch.equal(posterior.draw(x_t, t, positions, u[positions]), expected)
    x_t[4, 1] = 0
    assert torch.equal(posterior.draw(x_t, t, positions, u[positions]), expected)
    assert read == [1, 4, 4, 1]


@dataclass(frozen=True)
class Listed(Grid):
    times: tuple[float, ...]

    def __call__(self, steps):
        return torch.tensor(self.times).double()


def test_a_grid_must_rise_from_0_to_1_in_as_many_steps():
    for times in ((0, 0.5, 1), (0, 0.1, 0.2, 0.9), (0.1, 0.2, 0.3, 1)):
        with pytest.raises(InputError, match=r"sampler\.grid .*4 times from 0 to 1 .*Listed"):
            Ancestral(path=MASKED, steps=3, grid=Listed(times))
    with pytest.raises(InputError, match=r"sampler\.grid must rise.*0\.6"):
        Ancestral(path=MASKED, steps=3, grid=Listed((0, 0.6, 0.5, 1)))


def test_a_time_grid_is_made_where_a_configuration_is_checked() -> None:
    """The workflow builds all objects on a device whose tensors have no values."""
    with torch.device("meta"):
        sampler = Ancestral(path=MASKED, steps=3, grid=grids.Cosine())
    assert sampler.times.tolist()[0] == 0
    assert sampler.times.device.type == "cpu"


@every
def test_a_position_is_final_after_the_step_of_its_last_change(sampler, monkeypatch):
    posterior, read = model(sampler.path), []

    def draw(x_t, t, *rest):
        read.append((float(t), x_t[0].clone()))
        return LeaveOneOut.draw(posterior, x_t, t, *rest)

    monkeypatch.setattr(posterior, "draw", draw)
    drawn = sampler(posterior, 1, L, seed=5)
    tokens, changed = drawn.tokens[0], drawn.changed[0]
    assert changed.max() <= 4
    for call, (t, state) in enumerate(read, 1):
        first_hitting = isinstance(sampler, FirstHitting)
        step = call if first_hitting else 1 + int((sampler.times < t).sum())
        assert torch.equal(state[changed < step], tokens[changed < step])
        if isinstance(sampler.path.source, Mask):
            assert (state[changed >= step] == V).all()
