"""The field's post-training objectives by enumeration in float64 (10.9 – 10.11)."""

import itertools
import math
from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from tcsm.errors import InputError
from tcsm.models.factorized import Factorized
from tcsm.noise import Noise, batch_noise
from tcsm.objectives.base import CleanBatch, Likelihood
from tcsm.objectives.elbo_preference import ElboPaired
from tcsm.objectives.guided_distillation import GuidedDistillation
from tcsm.objectives.weighted_likelihood import WeightedLikelihood
from tcsm.process.corruption import CountSampling
from tcsm.process.paths import Path
from tcsm.process.schedules import Linear
from tcsm.process.sources import Mask, Uniform
from tests.enumeration import bradley_terry, kernel, posterior_table, random_distribution
from tests.enumeration import sequences as all_sequences
from tests.tables import FixedCorruption, Table, corrupted, number

V, L, BETA = 2, 2, 1.7
PATH = Path(Mask(V), Linear())
COUNTED = CountSampling(PATH)
ALL = torch.from_numpy(all_sequences(V, L))
HIDDEN = ALL[1:].bool()  # every set of masked positions
SHARE = torch.tensor([1 / (L * math.comb(L, n)) for n in HIDDEN.sum(-1).tolist()]).double()
GENERATOR = torch.Generator().manual_seed(3)
PRE = torch.from_numpy(random_distribution(V, L, 3)).flatten()
R = torch.randn(len(ALL), generator=GENERATOR).double()
TILTED = (PRE.log() + R / BETA).softmax(0)
PAIRS = torch.from_numpy(bradley_terry(PRE.numpy(), R.numpy()))
ROWS = torch.cat([ALL.repeat_interleave(len(ALL), 0), ALL.repeat(len(ALL), 1)], 1)


def posterior(distribution):
    """The model whose every conditional is that of a distribution."""
    table = posterior_table(distribution.view(V, V).numpy(), kernel(0.5, V, masked=True))
    return Factorized(Table(torch.from_numpy(table).log(), states=V + 1), PATH)


def anything():
    return Factorized(
        Table(torch.randn((V + 1) ** L, L, V, generator=GENERATOR), states=V + 1), PATH
    )


def noised(x_1, hidden, omega):
    """Rows x₁ with chosen masks and likelihood weights."""
    x_t = x_1.masked_fill(hidden, V)
    drawn = corrupted(PATH, x_1, x_t, torch.full((len(x_1),), 0.5))
    return FixedCorruption(PATH, replace(drawn, omega=omega))


def slope(loss, model):
    return torch.autograd.grad(loss, model.net.logits)[0]


def bound(model):
    """B(x), L/n-weighted over all masks, of every x."""
    log_q = model.net.logits.log_softmax(-1)
    total = torch.zeros(len(ALL)).double()
    for hidden, share in zip(HIDDEN, SHARE, strict=True):
        at = log_q[number(ALL.masked_fill(hidden, V), V + 1)].gather(-1, ALL[..., None])[..., 0]
        total = total + share * L / hidden.sum() * (at * hidden).sum(-1)
    return total


def over_all_masks(rows, beta=BETA):
    """The paired loss whose K draws are all masks, by their chance."""
    count = len(HIDDEN)
    x_1 = torch.cat([half.repeat(count, 1) for half in (rows[:, :L], rows[:, L:])])
    hidden = HIDDEN.repeat_interleave(len(rows), 0).repeat(2, 1)
    omega = count * (SHARE * L / HIDDEN.sum(-1)).repeat_interleave(len(rows)).repeat(2)
    return ElboPaired(noised(x_1, hidden, omega), L, beta, count)


def test_the_margin_is_that_of_the_enumerated_bounds():
    model, reference = anything(), anything()
    score = bound(model) - bound(reference)
    orders = list(itertools.permutations(range(L)))
    log_q, by_order = model.net.logits.log_softmax(-1), torch.zeros(len(ALL)).double()
    for order in orders:
        x_t = torch.full_like(ALL, V)
        for position in order:
            by_order = by_order + log_q[number(x_t, V + 1), position, ALL[:, position]] / len(
                orders
            )
            x_t[:, position] = ALL[:, position]
    assert_close(bound(model), by_order)
    terms = over_all_masks(ROWS).attach(reference)(model, ROWS, batch_noise(0, 0, len(ROWS)))
    gap = (score[:, None] - score[None]).flatten()
    assert_close(terms["margin"], gap.mean().detach(), rtol=0, atol=1e-12)
    assert_close(terms["loss"], -torch.nn.functional.logsigmoid(BETA * gap).mean())


def test_with_tight_bounds_the_optimum_of_vrpo_is_the_tilted_reference():
    """log q^R − log ref = R/β + const, so the gradient over all pairs is 0 there."""
    noise, weight = batch_noise(0, 0, len(ROWS)), PAIRS.flatten() * len(ROWS)
    objective = over_all_masks(ROWS).attach(posterior(PRE))
    for target, there in ((TILTED, True), (PRE, False)):
        model = posterior(target)
        assert_close(bound(model), target.log())
        left = slope(objective(model, ROWS, noise, weight)["loss"], model).abs().max()
        assert (left < 1e-12) == there


def test_shared_noise_has_less_variance_than_independent_noise():
    """Var(B_θ − B_ref) over the draws of one mask, against Var B_θ + Var B_ref."""
    reference = posterior(PRE)
    for model in (posterior(TILTED), posterior(PRE)):
        each = []
        for frozen in (None, reference):
            made = model if frozen is None else frozen
            log_q = made.net.logits.log_softmax(-1)
            at = log_q[number(ALL[:1].masked_fill(HIDDEN, V), V + 1)]
            at = at.gather(-1, ALL[:1].expand(len(HIDDEN), -1)[..., None])[..., 0]
            each.append(L / HIDDEN.sum(-1) * (at * HIDDEN).sum(-1))

        def variance(values):
            return SHARE @ values.square() - (SHARE @ values).square()

        row = torch.cat([ALL[0], ALL[0]])[None].repeat(len(HIDDEN), 1)
        x_1 = torch.cat([row[:, :L], row[:, :L]])
        omega = torch.cat([L / HIDDEN.sum(-1).double(), torch.zeros(len(HIDDEN)).double()])
        shared = ElboPaired(noised(x_1, HIDDEN.repeat(2, 1), omega), L, 1.0, 1).attach(reference)
        scores = shared._scores(model, shared.corruption.drawn)[: len(HIDDEN)]
        assert_close(scores, each[0] - each[1])
        assert variance(scores) <= variance(each[0]) + variance(each[1])
        assert variance(each[0]) > 0.01


def test_draws_of_a_pair_are_stratified_and_its_own():
    """Counts of the K draws of a sequence cover 1 … L; splits over devices change nothing."""
    path = Path(Mask(3), Linear())
    model = Factorized(Table(torch.randn(4, 3, generator=GENERATOR)), path)
    reference = Factorized(Table(torch.randn(4, 3, generator=GENERATOR)), path)
    objective = ElboPaired(CountSampling(path), 4, draws=4).attach(reference)
    rows = torch.randint(3, (6, 8), generator=GENERATOR)
    whole = objective(model, rows, batch_noise(1, 2, 6))["loss"]
    parts = [
        objective(model, rows[k::2], Noise(1, 2, torch.arange(6)[k::2], 6))["loss"]
        for k in range(2)
    ]
    assert_close(sum(parts) / 2, whole)
    drawn = objective._corrupt(CleanBatch(rows), batch_noise(1, 2, 6))
    counts = drawn.noised.sum(-1).view(2, 4, 6).sort(1).values
    assert (counts == torch.arange(1, 5)[None, :, None]).all()
    assert not drawn.noised[:24].equal(drawn.noised[24:])


def expected(objective, model, x_1_chance, advantage):
    """The mean of a loss over all x₁ by their chance, and all masks."""
    many = len(HIDDEN)
    x_1, hidden = ALL.repeat_interleave(many, 0), HIDDEN.repeat(len(ALL), 1)
    omega = torch.outer(x_1_chance, SHARE * L / HIDDEN.sum(-1)).flatten() * len(x_1)
    made = objective(noised(x_1, hidden, omega))
    weight = made.weigh(advantage).repeat_interleave(many)
    return made(model, x_1, batch_noise(0, 0, len(x_1)), weight)["loss"]


def likelihood(model, chance):
    """−Σ_x p(x) B(x)/L."""
    return -(chance @ bound(model)) / L


def test_of_weighted_likelihood_the_loss_and_gradient_are_the_enumerated_ones():
    """Texts by their chance under softmax weights: p e^{A/β}/Z⁺ and p e^{−A/β}/Z⁻."""
    model, even = anything(), torch.full((len(ALL),), 1 / len(ALL)).double()
    up, down = (R / BETA).softmax(0), (-R / BETA).softmax(0)
    for negative in (0.0, 0.4, 1.0):
        value = expected(
            lambda drawn, n=negative: WeightedLikelihood(drawn, Likelihood(), BETA, n),
            model,
            even,
            R,
        )
        wanted = likelihood(model, up) - negative * likelihood(model, down)
        assert_close(value, wanted)
        assert_close(slope(value, model), slope(wanted, model))


def test_of_weighted_likelihood_the_positive_part_is_least_at_the_tilted_distribution():
    chance = PRE / PRE.sum()
    advantage = R + BETA * (chance * len(ALL)).log()  # draws by p, as weights of every text
    even = torch.full((len(ALL),), 1 / len(ALL)).double()

    def left(target, negative):
        model = posterior(target)
        value = expected(
            lambda drawn: WeightedLikelihood(drawn, Likelihood(), BETA, negative),
            model,
            even,
            advantage,
        )
        return slope(value, model).abs().max()

    assert left(TILTED, 0.0) < 1e-12
    assert left(PRE, 0.0) > 1e-3
    assert left(TILTED, 1.0) > 1e-3  # negatives have no minimum there


def test_of_weighted_likelihood_small_weights_are_the_policy_gradient():
    """w⁺ − w⁻ = 2A/β + O(β⁻³) at the mean advantage 0 of a batch."""
    model, even = anything(), torch.full((len(ALL),), 1 / len(ALL)).double()
    advantage, beta = R - R.mean(), 1e4
    value = expected(
        lambda drawn: WeightedLikelihood(drawn, Likelihood(), beta), model, even, advantage
    )
    policy = likelihood(model, even * advantage) * 2 / beta
    assert_close(slope(value, model), slope(policy, model), rtol=1e-6, atol=0)


def distilled(model, at, offset):
    """GDSD's loss over all texts and masks; the advantage at a state is R less its own offset."""
    reference = posterior(PRE)
    values = []
    for hidden in HIDDEN:
        drawn = noised(ALL, hidden.expand(len(ALL), -1), torch.ones(len(ALL)).double())
        advantage = R - BETA * at(hidden) - offset
        made = GuidedDistillation(drawn, BETA).attach(reference)
        values.append(made(model, ALL, batch_noise(0, 0, len(ALL)), advantage)["loss"])
    return torch.stack(values)


def log_partition(hidden):
    """log Z_t(x_t) of every text's own x_t under a set of masks."""
    place = number(ALL.masked_fill(hidden, V), V + 1)
    same = place[:, None] == place[None]
    chance = torch.where(same, PRE[None], 0.0)
    return ((chance / chance.sum(-1, keepdim=True)) @ (R / BETA).exp()).log()


def test_guided_distillation_is_zero_at_the_tilted_posterior():
    """One masked position: a factorized q is the posterior there; the offset is β log Z_t."""
    one = (HIDDEN.sum(-1) == 1).nonzero().flatten()
    model = posterior(TILTED)
    assert distilled(model, log_partition, 0.0)[one].max() < 1e-24
    assert distilled(posterior(PRE), log_partition, 0.0)[one].min() > 1e-3
    wrong = distilled(model, log_partition, 0.1)[one]
    assert_close(wrong, torch.full_like(wrong, (0.1 / BETA / L) ** 2))  # the squared offset


def test_guided_distillation_is_the_enumerated_squared_error():
    model, reference = anything(), posterior(PRE)
    gap = model.net.logits.log_softmax(-1) - reference.net.logits.log_softmax(-1)
    actual = distilled(model, lambda hidden: torch.zeros(len(ALL)).double(), 0.0)
    for value, hidden in zip(actual, HIDDEN, strict=True):
        at = gap[number(ALL.masked_fill(hidden, V), V + 1)].gather(-1, ALL[..., None])[..., 0]
        assert_close(value, (((at * hidden).sum(-1) - R / BETA) / L).square().mean())
    assert torch.exp(PRE.log() + R / BETA).sum().log() > PRE @ R / BETA  # Jensen


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: ElboPaired(COUNTED, L, beta=0.0), r"objective\.beta .*0"),
        (lambda: ElboPaired(COUNTED, L, draws=0), r"objective\.draws .*0"),
        (lambda: WeightedLikelihood(COUNTED, Likelihood(), 0.0), r"objective\.beta .*0"),
        (
            lambda: WeightedLikelihood(COUNTED, Likelihood(), 1.0, -1.0),
            r"objective\.negative .*-1",
        ),
        (lambda: GuidedDistillation(COUNTED, float("nan")), r"objective\.beta .*nan"),
    ],
)
def test_values_without_a_loss_are_refused(build, words):
    with pytest.raises(InputError, match=words):
        build()


def test_what_a_batch_lacks_is_named():
    uniform = FixedCorruption(Path(Uniform(V), Linear()), None)
    with pytest.raises(InputError, match=r"process=mask.*Uniform"):
        ElboPaired(uniform, L)
    noise, model = batch_noise(0, 0, len(ALL)), posterior(PRE)
    with pytest.raises(InputError, match=r"batches: objective=guided_distillation"):
        GuidedDistillation(COUNTED, 1.0).attach(model)(model, ALL, noise)
    with pytest.raises(InputError, match="reference: found null"):
        GuidedDistillation(COUNTED, 1.0)(model, ALL, noise, R)
