"""The bound by a sampler's steps, and EDLM's estimate, against sums over everything drawn."""

import itertools
import math

import pytest
import torch

from tcsm.errors import InputError
from tcsm.evaluation.edlm import Edlm
from tcsm.evaluation.enumeration import joint_distribution
from tcsm.evaluation.joint_steps import JointSteps
from tcsm.models.factorized import Factorized
from tcsm.models.joint import Joint
from tcsm.process.paths import Path
from tcsm.process.schedules import Linear
from tcsm.process.sources import Mask, Uniform
from tests.enumeration import sequences
from tests.tables import Table, TableEnergy

V, L, STEPS = 2, 2, 2
PATH = Path(Mask(V), Linear())
ALL = torch.from_numpy(sequences(V, L))
STATES = [tuple(x) for x in sequences(V + 1, L).tolist()]
CLEAN = [tuple(x) for x in ALL.tolist()]
RANDOM = torch.Generator().manual_seed(3)
LOGITS = torch.randn((V + 1) ** L, L, V, generator=RANDOM).double()
ENERGY = 2 * torch.randn((V,) * L + (V + 1,) * L, generator=RANDOM).double()


class OfBoth(torch.nn.Module):
    """E(x, x_t) by a table."""

    def forward(self, x, x_t, t):
        return ENERGY[(*x.unbind(-1), *x_t[:, None].expand(-1, x.shape[1], -1).unbind(-1))]


MODEL = Joint(OfBoth(), Factorized(Table(LOGITS, states=V + 1), PATH))


def completions(x_t, given=()):
    """All x with their probability by the reference; ``given`` fixes some masked positions."""
    q, given = LOGITS[STATES.index(x_t)].softmax(-1), dict(given)
    for x in CLEAN:
        if all(s in (V, v) for s, v in zip(x_t, x, strict=True)) and all(
            x[i] == v for i, v in given.items()
        ):
            drawn = [i for i in range(L) if x_t[i] == V and i not in given]
            yield x, math.prod(q[i, x[i]].item() for i in drawn)


def several(x_t, count):
    for draw in itertools.product(list(completions(x_t)), repeat=count):
        yield [x for x, _ in draw], math.prod(p for _, p in draw)


def weight(x, x_t):
    return math.exp(-ENERGY[(*x, *x_t)].item())


def revealed(x_t, index):
    """Subsets of the masked positions with their probability at a step."""
    masked = [i for i in range(L) if x_t[i] == V]
    chance = 1 / (STEPS - index)
    for size in range(len(masked) + 1):
        for subset in itertools.combinations(masked, size):
            yield subset, chance**size * (1 - chance) ** (len(masked) - size)


def sampler(count, first=0):
    """The distribution of K candidates from a step on: every candidate, choice and subset."""
    law = {(V,) * L: 1.0}
    for index in range(STEPS):
        after: dict[tuple[int, ...], float] = {}
        for x_t, mass in law.items():
            for drawn, p in several(x_t, count if index >= first else 1):
                total = sum(weight(x, x_t) for x in drawn)
                for x, (subset, r) in itertools.product(drawn, revealed(x_t, index)):
                    x_s = tuple(x[i] if i in subset else x_t[i] for i in range(L))
                    after[x_s] = after.get(x_s, 0) + mass * p * r * weight(x, x_t) / total
        law = after
    return [law[x] for x in CLEAN]


def mean_log_f(x_t, given, count):
    """E log f over a completion and the other candidates."""
    total = 0.0
    for (y, p), (others, q) in itertools.product(completions(x_t, given), several(x_t, count - 1)):
        everyone = weight(y, x_t) + sum(weight(z, x_t) for z in others)
        total += p * q * math.log(count * weight(y, x_t) / everyone)
    return total


def expected_bound(x_1, count, first=0):
    """The mean of the bound with one completion, term by term."""
    total = 0.0
    agree = [x for x in STATES if all(s in (V, v) for s, v in zip(x, x_1, strict=True))]
    for index, x_t in itertools.product(range(STEPS), agree):
        alpha, q = index / STEPS, LOGITS[STATES.index(x_t)].log_softmax(-1)
        reached = alpha ** (L - x_t.count(V)) * (1 - alpha) ** x_t.count(V)
        for subset, r in revealed(x_t, index):
            nats = -sum(q[i, x_1[i]].item() for i in subset)
            gain = mean_log_f(x_t, {i: x_1[i] for i in subset}, count) if subset else 0.0
            gain = gain if index >= first else 0.0
            total += reached * r * (nats - gain)
    return total


def drawn(model, bound, draws=4000):
    """The bound of every sequence and its Monte-Carlo error."""
    nats = bound(model, ALL, torch.arange(len(ALL)), 0, draws).nats
    return nats.mean(1), nats.std(1) / draws**0.5


@pytest.mark.parametrize(("count", "first"), [(1, 0), (2, 0), (3, 0), (3, 1)])
def test_what_is_drawn_is_the_expectation_that_bounds_the_sampler(count, first):
    exact = torch.tensor(sampler(count, first)).double()
    assert exact.sum().item() == pytest.approx(1)
    expected = torch.tensor([expected_bound(x, count, first) for x in CLEAN]).double()
    assert (expected >= -exact.log() - 1e-12).all()
    found, error = drawn(MODEL, JointSteps(PATH, STEPS, count, 1, first / STEPS))
    assert ((found - expected).abs() < 4.5 * error).all()
    tighter, other = drawn(MODEL, JointSteps(PATH, STEPS, count, 32, first / STEPS))
    assert (tighter < expected + 4 * other).all()
    assert (tighter > -exact.log() - 4 * other).all()


def test_one_candidate_is_the_reference():
    """To the last bit of it, so that a gain over the reference is the energy's."""
    plain = Joint(TableEnergy(torch.zeros(V, V)), MODEL.reference)
    one, none = (
        JointSteps(PATH, STEPS, count, 3)(model, ALL, torch.arange(4), 1, 50).nats
        for model, count in ((MODEL, 1), (plain, 5))
    )
    torch.testing.assert_close(one, none)


def test_a_single_step_of_many_candidates_comes_to_the_joint_distribution():
    """T = 1, data of the model: the gap to enumeration is above 0 and falls like 1/K."""
    log_p = joint_distribution(MODEL, L)
    p, gaps = log_p.exp(), []
    for count in (1, 4, 16, 64):
        found, error = drawn(MODEL, JointSteps(PATH, 1, count, 1))
        gaps.append((p @ (found + log_p)).item())
        assert gaps[-1] > -4 * (p**2 @ error**2).sqrt().item()
    assert gaps[0] > 1.3 * gaps[1] > 3 * gaps[2] > 9 * gaps[3]
    assert gaps[3] < 0.06


class OfTheData(torch.nn.Module):
    """E = −log p₁, exact at every x_t for a uniform reference."""

    def forward(self, x, x_t, t):
        return -DATA[x.unbind(-1)].log()


DATA = torch.tensor([[0.45, 0.05], [0.05, 0.45]]).double()
ENTROPY = -(DATA * DATA.log()).sum().item()
IDEAL = Joint(OfTheData(), Factorized(Table(torch.zeros(L, V)), PATH))


@pytest.mark.parametrize("candidates", [1, 64])
def test_edlm_is_below_the_entropy_for_the_exact_posterior(candidates):
    """(11.5): no bound, with a normalizer of 64 candidates as with one of 1."""
    found, error = drawn(IDEAL, Edlm(PATH, candidates), 20000)
    mean, error = (DATA.flatten() @ found).item(), (DATA.flatten() ** 2 @ error**2).sqrt().item()
    assert mean < ENTROPY - 0.1 - 4 * error
    hidden = -DATA.flatten() @ DATA.flatten().log()
    single = -(DATA.flatten() @ (DATA / DATA.sum(0)).flatten().log())
    if candidates == 64:
        assert mean == pytest.approx((hidden + 2 * single).item() / 2, abs=0.02)


def test_a_bound_of_many_candidates_is_above_the_entropy_and_near_it():
    found, error = drawn(IDEAL, JointSteps(PATH, 1, 64, 1))
    mean, error = (DATA.flatten() @ found).item(), (DATA.flatten() ** 2 @ error**2).sqrt().item()
    assert ENTROPY - 4 * error < mean < ENTROPY + 0.02 + 4 * error


def test_padding_is_a_condition():
    """Of a row without any text nothing is bounded; of another, its text alone."""
    real = torch.tensor([[True, True], [True, False], [False, False], [True, True]])
    for bound in (JointSteps(PATH, 2, 2, 2), Edlm(PATH, 2)):
        rows = slice(0, 2) if isinstance(bound, Edlm) else slice(0, 4)
        nats = bound(MODEL, ALL[rows], torch.arange(4)[rows], 0, 8, real[rows]).nats
        assert nats.isfinite().all()
    assert not JointSteps(PATH, 2, 2, 2)(MODEL, ALL, torch.arange(4), 0, 8, real).nats[2].any()


def test_refusals():
    for name in ("steps", "candidates", "completions"):
        with pytest.raises(InputError, match=rf"bound\.{name} .*0"):
            JointSteps(PATH, **{name: 0})
    with pytest.raises(InputError, match=r"bound\.since .*2"):
        JointSteps(PATH, since=2.0)
    with pytest.raises(InputError, match=r"bound\.candidates .*0"):
        Edlm(PATH, 0)
    for kind, name in ((JointSteps, "joint_steps"), (Edlm, "edlm")):
        with pytest.raises(InputError, match="needs the Mask source"):
            kind(Path(Uniform(V), Linear()))
        with pytest.raises(InputError, match=f"bound={name} needs model=joint, found Factorized"):
            kind(PATH).check(MODEL.reference)
        with pytest.raises(InputError, match=r"evaluation\.draws "):
            kind(PATH)(MODEL, ALL, torch.arange(4), 0, 0)
