"""Bounds given prompts and padding, which are conditions: against enumeration, and cut rows."""

import pytest
import torch
from torch.testing import assert_close

from tcsm.evaluation.bound import Count, Exact, Time
from tcsm.evaluation.joint import JointCount
from tcsm.evaluation.pseudo import Pseudo
from tcsm.evaluation.uniform_count import UniformCount
from tcsm.models.autoregressive import Autoregressive
from tcsm.models.factorized import Factorized, LeaveOneOut
from tcsm.models.joint import Joint
from tcsm.models.masked_lm import HollowLM
from tcsm.nets.hollow import Hollow
from tcsm.nets.transformer import Transformer
from tcsm.process.paths import Path
from tcsm.process.schedules import Linear
from tcsm.process.sources import Mask, Uniform
from tests.enumeration import kernel, posterior_table, random_distribution, sequences
from tests.objectives.test_padding import LENGTHS, REAL, ROWS, Energy, posterior
from tests.tables import Table as Logits

V = L = 3
MASKED, NOISED = Path(Mask(V), Linear()), Path(Uniform(V), Linear())
P_1 = random_distribution(V, L, 3)
ALL = torch.from_numpy(sequences(V, L))


@pytest.mark.parametrize("real", [[0, 1, 1], [1, 0, 1], [0, 0, 1], [1, 1, 0]], ids=str)
@pytest.mark.parametrize("bound", [Count(MASKED), Time(MASKED, 1e-4)], ids=["count", "time"])
def test_at_the_exact_posterior_it_is_the_conditional_log_probability(real, bound):
    """By enumeration, −log p(text | the rest) of all 27 sequences."""
    model = Factorized(
        Logits(torch.from_numpy(posterior_table(P_1, kernel(0.5, V, True))).log(), V + 1), MASKED
    )
    p, text = torch.from_numpy(P_1), torch.tensor(real, dtype=torch.bool)
    given = p.sum([i for i in range(L) if text[i]], keepdim=True).expand_as(p)
    truth = -(p / given).log().flatten()
    draws = bound(model, ALL, torch.arange(27), 3, 3000, text.expand(27, -1))
    error = draws.nats.std(-1) / draws.nats.shape[1] ** 0.5 + 1e-9
    assert ((draws.nats.mean(-1) - truth).abs() < 4 * error + 1e-3).all()


def left_to_right():
    net = Transformer(vocabulary=V, dim=8, depth=1, heads=1, causal=True, extra=1)
    torch.nn.init.normal_(net.head.weight, generator=torch.Generator().manual_seed(1))
    return Autoregressive(net)


def untimed(path):
    """A posterior that reads what is before a position."""
    model = posterior(path)
    model.net.timed = False
    return model


CASES = {
    "count": (Count(MASKED), lambda: untimed(MASKED)),
    "time": (Time(MASKED), lambda: posterior(MASKED)),
    "uniform": (Time(NOISED), lambda: posterior(NOISED)),
    "uniform_count": (UniformCount(NOISED), lambda: LeaveOneOut(untimed(NOISED).net, NOISED)),
    "joint": (JointCount(MASKED, 2), lambda: Joint(Energy(), untimed(MASKED))),
    "exact": (Exact(), left_to_right),
}


@pytest.mark.parametrize("case", CASES)
def test_padding_changes_no_bound(case):
    bound, build = CASES[case]
    model = build()
    padded = bound(model, ROWS, torch.arange(5), 4, 6, REAL)
    for row, length in enumerate(LENGTHS.tolist()):
        alone = bound(model, ROWS[[row], :length], torch.tensor([row]), 4, 6)
        assert_close(padded.nats[[row]], alone.nats, rtol=1e-6, atol=1e-6)
        assert_close(padded.noised_nats[[row]], alone.noised_nats, equal_nan=True)
    full = torch.ones_like(REAL)
    whole = bound(model, ROWS, torch.arange(5), 4, 6)
    assert torch.equal(bound(model, ROWS, torch.arange(5), 4, 6, full).nats, whole.nats)


def test_a_pseudo_likelihood_is_that_of_the_text():
    model = HollowLM(Hollow(vocabulary=V, dim=8, depth=1, heads=1))
    torch.nn.init.normal_(model.net.head.weight)
    draws = Pseudo()(model, ROWS, torch.arange(5), 4, 1, REAL)
    nats = -model.log_conditionals(ROWS, REAL).gather(-1, ROWS[REAL][:, None]).squeeze(-1)
    by_hand = torch.zeros(5).index_add(0, REAL.nonzero()[:, 0], nats)
    assert_close(draws.nats[:, 0].float(), by_hand)
    assert_close(draws.noised_nats[:, 0].float(), by_hand / LENGTHS)
