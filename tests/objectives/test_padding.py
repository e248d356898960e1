"""A padded sequence has exactly the loss and the gradient of the same sequence without padding."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from tcsm.divergences.bregman import bce, generalized_kl
from tcsm.divergences.scoring_rules import KL
from tcsm.divergences.soft import ForwardKL
from tcsm.errors import InputError
from tcsm.models.autoregressive import Autoregressive
from tcsm.models.factorized import Factorized
from tcsm.models.joint import Joint
from tcsm.models.masked_lm import HollowLM
from tcsm.models.teacher import Teacher
from tcsm.neighborhoods.hamming import Hamming
from tcsm.neighborhoods.hamming_k import HammingK
from tcsm.nets.hollow import Hollow
from tcsm.nets.transformer import Transformer
from tcsm.noise import Noise
from tcsm.objectives.base import Likelihood, OpenMean, SequenceMean
from tcsm.objectives.density_ratio import DensityRatio, NoiseContrastive, SequenceDensityRatio
from tcsm.objectives.distribution import DistributionMatching, SoftDistributionMatching
from tcsm.objectives.likelihood import Nelbo, NextToken, PseudoLikelihood
from tcsm.objectives.policy_gradient import PolicyGradient
from tcsm.objectives.preference import Paired, Unpaired, Winners
from tcsm.objectives.reverse import RateMatching, StepMatching
from tcsm.objectives.score_matching import FullScoreMatching, SampledScoreMatching, ScoreMatching
from tcsm.process.corruption import CountSampling, TimeSampling
from tcsm.process.pairs import SharedCorruption
from tcsm.process.paths import Path
from tcsm.process.schedules import Linear
from tcsm.process.sources import Mask, Uniform
from tcsm.process.steps import StepSampling
from tcsm.targets.bayes import Bayes
from tests.tables import Oracle

V, L, SEPARATOR = 3, 5, 0
LENGTHS = torch.tensor([3, 5, 1, 4, 2])
REAL = torch.arange(L) < LENGTHS[:, None]
GENERATOR = torch.Generator().manual_seed(3)
TEXT = torch.randint(V, (5, L), generator=GENERATOR)
ROWS = TEXT.where(REAL, torch.tensor(SEPARATOR))
OTHERS = ((TEXT + 1) % V).where(REAL, torch.tensor(SEPARATOR))
MASKED, NOISED = Path(Mask(V), Linear()), Path(Uniform(V), Linear())
TIME, COUNT = TimeSampling(MASKED, epsilon=0.01), CountSampling(MASKED)
FRESH = TimeSampling(NOISED, epsilon=0.01)
STEPS = StepSampling(NOISED, steps=7)
BALL, PAIRS = Hamming(V), HammingK(V, 2)


class Left(nn.Module):
    """Logits that depend on the position, the token there and those before it."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(seed)
        self.place = nn.Parameter(torch.randn(L, V, generator=draw).double())
        self.token = nn.Parameter(torch.randn(V + 1, V, generator=draw).double())

    def forward(self, x, t=None):
        return self.place[: x.shape[-1]] + self.token[x].cumsum(-2)


class Table(Teacher):
    """A teacher of the same kind."""

    def __init__(self) -> None:
        super().__init__()
        self.left = Left(5)

    def log_conditionals(self, x_1, positions):
        return self.left(x_1)[positions].log_softmax(-1)


class Energy(nn.Module):
    """A sum over positions, to which the separator adds nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.values = nn.Parameter(torch.randn(L, V, generator=GENERATOR).double())

    def forward(self, x, x_t, t):
        place = torch.arange(x.shape[-1])
        return (self.values[place, x] * (x != SEPARATOR)).sum(-1)


def posterior(path, seed=1):
    left = Left(seed)
    oracle = Oracle(V, left)
    oracle.left = left
    return Factorized(oracle, path)


def compared(kind, path, **fields):
    objective = kind(**fields, length=L) if kind is Winners else kind(**fields)
    return objective.attach(posterior(path, seed=2))


BY_TIME = {"corruption": TIME, "weighting": SequenceMean()}
BY_COUNT = {"corruption": COUNT, "weighting": Likelihood()}
UNIFORM = {"corruption": FRESH, "weighting": OpenMean()}
CASES = {
    "KL by count": (DistributionMatching(**BY_COUNT, scoring=KL()), MASKED),
    "KL by time": (DistributionMatching(**BY_TIME, scoring=KL()), MASKED),
    "KL, uniform": (DistributionMatching(**UNIFORM, scoring=KL()), NOISED),
    "bound": (Nelbo(**BY_TIME), MASKED),
    "bound, uniform": (Nelbo(corruption=FRESH, weighting=SequenceMean()), NOISED),
    "rates": (RateMatching(corruption=FRESH, weighting=SequenceMean()), NOISED),
    "steps": (StepMatching(corruption=STEPS, weighting=SequenceMean()), NOISED),
    "score": (ScoreMatching(**BY_COUNT, divergence=bce, neighborhood=BALL), MASKED),
    "score, whole": (
        FullScoreMatching(**BY_COUNT, divergence=bce, neighborhood=PAIRS),
        MASKED,
    ),
    "score, listed": (
        SampledScoreMatching(**UNIFORM, divergence=bce, neighborhood=BALL),
        NOISED,
    ),
    "soft": (
        SoftDistributionMatching(
            **BY_COUNT, divergence=ForwardKL(), target=Bayes(Table(), MASKED)
        ),
        MASKED,
    ),
    "ratio": (compared(DensityRatio, MASKED, **BY_COUNT, divergence=bce), MASKED),
    "ratio of sequences": (
        compared(SequenceDensityRatio, MASKED, **BY_COUNT, divergence=generalized_kl),
        MASKED,
    ),
    "policy": (compared(PolicyGradient, NOISED, **UNIFORM, beta=0.3), NOISED),
}


def noise(rows):
    """That of some rows of the whole batch."""
    return Noise(4, 2, torch.as_tensor(rows), len(ROWS))


def losses(objective, model, batch, real):
    """Loss and gradients of the padded batch, and means of those of rows cut to their length."""
    weight = torch.tensor([1.0, 0.5, 2.0, 1.5, 1.0]).double()
    whole = objective(model, batch, noise(range(len(batch))), weight, real)["loss"]
    parts = []
    for row, length in enumerate(LENGTHS.tolist()):
        kept = real[row]
        parts.append(objective(model, batch[row, kept][None], noise([row]), weight[row : row + 1]))
        assert kept.sum() == length * batch.shape[1] // L
    mean = torch.stack([terms["loss"] for terms in parts]).mean()
    parameters = [p for p in model.parameters() if p.requires_grad and p.numel()]
    gradients = [
        torch.autograd.grad(loss, parameters, allow_unused=True) for loss in (whole, mean)
    ]
    return (whole, mean), gradients


def check(objective, model, batch=ROWS, real=REAL):
    (whole, mean), (ours, peer) = losses(objective, model, batch, real)
    assert_close(whole, mean, rtol=1e-12, atol=1e-12)
    for one, other in zip(ours, peer, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            assert_close(one, other, rtol=1e-10, atol=1e-12)
    assert any(one is not None and one.abs().max() > 1e-3 for one in ours)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", CASES)
def test_padding_changes_nothing(case):
    objective, path = CASES[case]
    check(objective, posterior(path))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.filterwarnings("ignore")
def test_rows_that_are_full_are_what_they_were(case):
    """Bit for bit."""
    objective, path = CASES[case]
    model, every = posterior(path), noise(range(len(TEXT)))
    without = objective(model, TEXT, every)
    full = objective(model, TEXT, every, None, torch.ones_like(TEXT, dtype=torch.bool))
    assert {key: value.item() for key, value in full.items()} == {
        key: value.item() for key, value in without.items()
    }


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", CASES)
def test_prompts_and_padding_get_no_gradient(case):
    """Position 0 is a prompt and 4 is padding in every row."""
    objective, path = CASES[case]
    model, place = posterior(path), torch.arange(L)
    real = (place > 0) & (place < torch.tensor([[3], [4], [2], [4], [3]]))
    loss = objective(model, TEXT, noise(range(5)), None, real)["loss"]
    (slope,) = torch.autograd.grad(loss, model.net.left.place)
    assert slope[[0, 4]].eq(0).all()
    assert slope[1:4].ne(0).any()
    drawn = objective.corruption(TEXT, noise(range(5)), real)
    assert torch.equal(drawn.x_t[~real], TEXT[~real])
    assert not drawn.noised[~real].any()


def test_an_energy_meets_padding_in_data_and_negatives_alike():
    objective = NoiseContrastive(**BY_COUNT, divergence=bce, negatives=2)
    check(objective, Joint(Energy(), posterior(MASKED, seed=2).requires_grad_(False)))


def test_the_next_token_is_asked_for_where_there_is_text():
    net = Transformer(vocabulary=V, dim=8, depth=1, heads=1, causal=True, extra=1).double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=GENERATOR))
    (whole, mean), (ours, peer) = losses(NextToken(), Autoregressive(net), ROWS, REAL)
    assert_close(whole, mean, rtol=1e-5, atol=1e-6)  # the net sums in fp32
    for one, other in zip(ours, peer, strict=True):
        assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_a_pseudo_likelihood_is_the_mean_over_the_text():
    model = HollowLM(Hollow(vocabulary=V, dim=8, depth=1, heads=1))
    with torch.no_grad():
        model.net.head.weight.normal_(generator=GENERATOR)
    loss = PseudoLikelihood()(model, ROWS, noise(range(5)), None, REAL)["loss"]
    nats = -model.log_conditionals(ROWS, REAL).gather(-1, ROWS[REAL][:, None]).squeeze(-1)
    row = REAL.nonzero()[:, 0]
    by_hand = torch.zeros(5).index_add(0, row, nats) / LENGTHS
    assert_close(loss.float(), by_hand.mean())


# --- pairs -------------------------------------------------------------------------------------

BOTH, BOTH_REAL = torch.cat([ROWS, OTHERS], 1), torch.cat([REAL, REAL], 1)


def paired(kind, corruption, **fields):
    objective = kind(SharedCorruption(corruption), L, **fields)
    return objective.attach(posterior(corruption.path, seed=2))


def at_its_length(objective):
    """The objective, which takes the length of a pair from the rows that it meets."""

    def loss(model, rows, *others):
        return replace(objective, length=rows.shape[1] // 2)(model, rows, *others)

    return loss


@pytest.mark.parametrize("corruption", [COUNT, FRESH])
@pytest.mark.parametrize(
    "build",
    [
        lambda corruption: paired(Paired, corruption, beta=0.7, likelihood=0.2),
        lambda corruption: paired(Unpaired, corruption),
        lambda corruption: compared(
            Winners, corruption.path, corruption=corruption, weighting=SequenceMean()
        ),
    ],
)
def test_pairs_of_one_length(build, corruption):
    check(at_its_length(build(corruption)), posterior(corruption.path), BOTH, BOTH_REAL)


@pytest.mark.parametrize("corruption", [COUNT, FRESH])
def test_of_two_lengths_each_text_has_its_own_sum(corruption):
    """By hand, at every position of the longer text that is open."""
    short, long = torch.arange(L) < 2, torch.arange(L) < 4
    winner, loser = (
        TEXT[:, :].where(short, torch.tensor(SEPARATOR)),
        TEXT.flip(0).where(long, torch.tensor(SEPARATOR)),
    )
    rows, real = torch.cat([winner, loser], 1), torch.cat([short, long]).expand(5, -1)
    objective, model = paired(Unpaired, corruption), posterior(corruption.path)
    loss = objective(model, rows, noise(range(5)), None, real)["loss"]
    pair = objective.corruption(winner, loser, noise(range(5)), (real[:, :L], real[:, L:]))
    assert (pair[0].x_t[:, 4] == SEPARATOR).all()
    assert pair[0].x_t is pair[1].x_t
    log_q, log_ref = (
        net.net.left(pair[0].x_t).log_softmax(-1) for net in (model, objective.require_reference())
    )
    sums = []
    for one, x in zip(pair, (winner, loser), strict=True):
        at_token = (log_q - log_ref).gather(-1, x[..., None]).squeeze(-1)
        sums.append((at_token * one.noised).sum(-1))
    assert pair[0].noised[:, 2:].sum() == 0
    assert_close(loss, objective.contrast(*sums).mean(), rtol=1e-12, atol=1e-12)


def test_a_joint_model_knows_no_part_of_a_text():
    objective = Unpaired(SharedCorruption(COUNT), L)
    model = Joint(Energy(), posterior(MASKED))
    assert objective(model, BOTH, noise(range(5)), None, BOTH_REAL)["loss"].isfinite()
    other = torch.cat([REAL, torch.ones_like(REAL)], 1)
    with pytest.raises(InputError, match="model=joint compares texts of one length"):
        objective(model, BOTH, noise(range(5)), None, other)
