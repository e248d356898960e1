"""Losses of pairs and their optima, by enumeration in float64 (10.6 – 10.8)."""

import pytest
import torch
from torch import nn
from torch.nn.functional import logsigmoid
from torch.testing import assert_close

from tcsm.errors import InputError
from tcsm.models.factorized import Factorized
from tcsm.models.joint import Joint
from tcsm.noise import Noise, batch_noise
from tcsm.objectives.preference import Paired, Unpaired
from tcsm.process.corruption import CountSampling
from tcsm.process.pairs import SharedCorruption
from tcsm.process.paths import Path
from tcsm.process.schedules import Linear
from tcsm.process.sources import Mask, Uniform
from tests.enumeration import bradley_terry, kernel, product_kernel, sequences
from tests.tables import FixedCorruption, Table, TableEnergy, corrupted

V, L = 3, 2
ALL = torch.from_numpy(sequences(V, L))
ROWS = torch.cat([ALL.repeat_interleave(len(ALL), 0), ALL.repeat(len(ALL), 1)], 1)
GENERATOR = torch.Generator().manual_seed(7)
SITES = torch.randn(L, V, generator=GENERATOR).double()
REF = torch.einsum("a,b->ab", *SITES.softmax(-1)).flatten()
R = torch.randn(len(ALL), generator=GENERATOR).double()
PAIRS = torch.from_numpy(bradley_terry(REF.numpy(), R.numpy()))
P_W, P_L = PAIRS.sum(1), PAIRS.sum(0)
MASKED, NOISED = Path(Mask(V), Linear()), Path(Uniform(V), Linear())
BETA = 1.7


def joint(log_r):
    """The posterior q ∝ ref · r, as a table of energies."""
    return Joint(TableEnergy(-log_r.view(V, V)), Factorized(Table(SITES), MASKED))


def at(path, x_t, rows):
    """A distribution that draws this x_t alone."""
    x_t = x_t.expand(rows, -1)
    drawn = corrupted(path, torch.zeros_like(x_t), x_t, torch.full((rows,), 0.4))
    return SharedCorruption(FixedCorruption(path, drawn))


HIDDEN = at(MASKED, torch.tensor([V, V]), len(ROWS))


def expected(objective, model, weight=None):
    """Mean loss over all ordered pairs by their chance."""
    weight = PAIRS.flatten() if weight is None else weight.flatten()
    return objective(model, ROWS, batch_noise(0, 0, len(ROWS)), weight * len(ROWS))["loss"]


def gradient(objective, model, weight=None):
    model.zero_grad()
    expected(objective, model, weight).backward()
    (parameter,) = [p for p in model.parameters() if p.requires_grad]
    return parameter.grad.flatten()


def stays(objective, log_r, weight=None):
    """Whether a table of log r is where the loss is least."""
    return gradient(objective, joint(log_r), weight).abs().max() < 1e-12


def test_pairs_are_a_distribution_with_two_halves():
    assert_close(PAIRS.sum(), torch.tensor(1.0).double())
    assert_close(P_W + P_L, 2 * REF)


def test_optimum_of_pairs_is_the_tilted_reference():
    paired = Paired(HIDDEN, L, beta=BETA)
    assert stays(paired, R / BETA)
    assert stays(paired, R / BETA + 5)  # Z cancels
    assert not stays(paired, R)
    other = joint(R / BETA + torch.randn(len(ALL)).double())
    assert expected(paired, other) > expected(paired, joint(R / BETA))


def test_optimum_of_winners_against_losers_is_their_ratio_and_no_reward():
    unpaired = Unpaired(HIDDEN, L)
    best = (P_W / P_L).log()
    assert stays(unpaired, best)
    assert not stays(unpaired, best + 0.1)  # no free constant
    assert (best - R).max() - (best - R).min() > 0.1
    assert (REF * best.exp()).sum() > 1


@pytest.mark.parametrize("loss", [Paired(HIDDEN, 1, beta=BETA), Unpaired(HIDDEN, 1)])
def test_a_normalized_position_reaches_what_is_normalized(loss):
    """One position of V² tokens is a table of sequences: q ∝ ref e^{R/β}; no q/ref is p_w/p_l."""
    tokens = len(ALL)
    path, rows = Path(Mask(tokens), Linear()), torch.cartesian_prod(*2 * [torch.arange(tokens)])
    reference = Factorized(Table(REF.log()[None]), path)
    distribution = at(path, torch.tensor([tokens]), len(rows))
    objective = type(loss)(distribution, 1, **({"beta": BETA} if isinstance(loss, Paired) else {}))
    tilt = R / BETA if isinstance(loss, Paired) else (P_W / P_L).log()
    model = Factorized(Table((REF.log() + tilt)[None]), path)
    noise, weight = batch_noise(0, 0, len(rows)), PAIRS.flatten() * len(rows)
    objective.attach(reference)(model, rows, noise, weight)["loss"].backward()
    assert (model.net.logits.grad.abs().max() < 1e-12) == isinstance(loss, Paired)


def test_noise_on_the_winner_alone_is_learned_as_a_reward():
    """(10.7): the distribution of x_t must be symmetric, else l = (R + log p_{t|1}(x_t | x))/β."""
    x_t = torch.tensor([1, 2])
    positions = torch.from_numpy(kernel(0.4, V, masked=False))[ALL]
    chance = torch.from_numpy(product_kernel(positions.numpy()))[:, 5]  # of (1, 2), the sixth
    paired = Paired(at(NOISED, x_t, len(ROWS)), L, beta=BETA)
    fair = PAIRS * (chance[:, None] + chance[None]) / 2
    winner = PAIRS * chance[:, None]
    assert stays(paired, R / BETA, fair)
    assert not stays(paired, R / BETA, winner)
    assert stays(paired, (R + chance.log()) / BETA, winner)
    assert chance.log().max() - chance.log().min() > 1


def test_gradient_at_the_reference():
    """−β/2 (∇ log q(w) − ∇ log q(l)), and λ ∇ of the winner's cross-entropy beside it (10.8)."""
    model, reference = (Factorized(Table(SITES), MASKED) for _ in range(2))
    nats = [-torch.log_softmax(model.net.logits, -1).gather(1, x[:, None]).sum() for x in ALL]
    for w, b in ((0, 5), (3, 8), (4, 4)):
        row = torch.cat([ALL[w], ALL[b]])[None]
        distribution = at(MASKED, torch.tensor([V, V]), 1)
        for likelihood in (0.0, 0.3):
            objective = Paired(distribution, L, likelihood, BETA, reference=reference)
            loss = objective(model, row, batch_noise(0, 0, 1))["loss"]
            by_hand = BETA / 2 * (nats[w] - nats[b]) + likelihood * nats[w] / L
            actual, wanted = (
                torch.autograd.grad(each, model.net.logits, retain_graph=True)[0]
                for each in (loss, by_hand)
            )
            assert_close(actual, wanted)


def test_positions_where_both_agree_cancel_between_them():
    model = Factorized(Table(torch.randn(L, V, generator=GENERATOR)), MASKED)
    reference = Factorized(Table(SITES), MASKED)
    row = torch.tensor([[0, 1, 0, 2]])
    distribution = at(MASKED, torch.tensor([V, V]), 1)
    terms = Paired(distribution, L, beta=BETA, reference=reference)(
        model, row, batch_noise(0, 0, 1)
    )
    log_r = model.net.logits.log_softmax(-1) - SITES.log_softmax(-1)
    assert_close(terms["loss"], -logsigmoid(BETA * (log_r[1, 1] - log_r[1, 2])))
    assert_close(terms["margin"], (log_r[1, 1] - log_r[1, 2]).detach())
    assert terms["open"] == 1


@pytest.mark.parametrize("kind", [Paired, Unpaired])
def test_split_over_devices_the_mean_of_losses_is_the_whole(kind):
    reference = Factorized(Table(SITES), MASKED)
    model = Factorized(Table(torch.randn(L, V)), MASKED)
    objective = kind(SharedCorruption(CountSampling(MASKED)), L, reference=reference)
    rows = ROWS[::8][:10]
    whole = objective(model, rows, batch_noise(1, 2, 10))["loss"]
    parts = [
        objective(model, rows[k::2], Noise(1, 2, torch.arange(10)[k::2], 10))["loss"]
        for k in range(2)
    ]
    assert_close(sum(parts) / 2, whole)
    assert whole.requires_grad


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (
            lambda: Paired(HIDDEN, L, beta=0.0),
            r"objective\.beta must be a positive number, found 0",
        ),
        (lambda: Paired(HIDDEN, L, beta=float("nan")), r"objective\.beta must be .* found nan"),
        (lambda: Paired(HIDDEN, L, beta=float("inf")), r"objective\.beta must be .* found inf"),
        (lambda: Unpaired(HIDDEN, L, -1.0), r"objective\.likelihood must be 0 or more, found -1"),
        (lambda: Paired(HIDDEN, L, -1.0), r"objective\.likelihood must be 0 or more, found -1"),
    ],
)
def test_values_without_a_distribution_are_refused(build, words):
    with pytest.raises(InputError, match=words):
        build()


def test_a_preference_needs_pairs_a_posterior_and_a_reference():
    model, noise = Factorized(Table(SITES), MASKED), batch_noise(0, 0, len(ROWS))
    paired = Paired(HIDDEN, L)
    with pytest.raises(InputError, match=r"a pair is a row of 4 tokens.*found 2"):
        paired(model, ROWS[:, :L], noise)
    with pytest.raises(InputError, match="reference: found null"):
        paired(model, ROWS, noise)
    with pytest.raises(InputError, match=r"needs a posterior .*found Identity"):
        paired.attach(model)(nn.Identity(), ROWS, noise)
