"""Density ratios at every noised position: optima by enumeration, first gradients, stabilizers."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from tcsm.divergences import bregman
from tcsm.divergences.scoring_rules import KL
from tcsm.errors import InputError
from tcsm.models.explicit import Explicit
from tcsm.models.factorized import Factorized, LeaveOneOut
from tcsm.nets.transformer import Transformer
from tcsm.noise import batch_noise
from tcsm.objectives.base import OpenMean, SequenceMean
from tcsm.objectives.density_ratio import DensityRatio, DensityRatioLoss
from tcsm.objectives.distribution import DistributionMatching
from tcsm.process.corruption import CountSampling, Positions
from tcsm.process.paths import Path
from tcsm.process.schedules import Linear
from tcsm.process.sources import Mask, Uniform
from tests.enumeration import bayes, kernel, marginals, random_distribution, sequences
from tests.tables import FixedCorruption, Table, corrupted

V = L = 3
MASKED = Path(Mask(V), Linear())
DIVERGENCES = {
    "gkl": bregman.generalized_kl,
    "lsif": bregman.lsif,
    "bce": bregman.bce,
    "is": bregman.itakura_saito,
    "hellinger": bregman.hellinger,
}
CURVATURE = {"gkl": 1.0, "lsif": 1.0, "bce": 0.5, "is": 1.0, "hellinger": 1.0}  # F″(1)
divergences = pytest.mark.parametrize("name", DIVERGENCES)
REFERENCE = torch.randn(L, V, generator=torch.Generator().manual_seed(1)).double()


class World:
    """One x_t, all x₁ that it may come from, and their weights under p_{1|t}, tilted or not."""

    def __init__(self, source, x_t, reward=None):
        self.path, state = Path(source, Linear()), torch.tensor(x_t)
        matrix = kernel(0.4, V, isinstance(source, Mask))
        plain, _ = bayes(random_distribution(V, L, 0), state.numpy(), matrix)
        tilted = plain if reward is None else plain * reward
        p_1 = torch.from_numpy(plain).flatten()
        self.tilt = torch.ones(len(p_1)) if reward is None else torch.from_numpy(reward).flatten()
        support = p_1 > 0
        self.tilt, x_1 = self.tilt[support].double(), torch.from_numpy(sequences(V, L))[support]
        self.share = p_1[support] * len(x_1)
        self.truth = torch.from_numpy(marginals(tilted / tilted.sum())).clamp(min=1e-300)
        times = torch.full((len(x_1),), 0.4)
        self.drawn = corrupted(self.path, x_1, state.expand(len(x_1), -1), times)

    def loss(self, model, reference, step=0, weight=None, **fields):
        """The expected loss."""
        corruption = FixedCorruption(self.path, self.drawn)
        objective = DensityRatio(corruption, OpenMean(), **fields).attach(reference)
        weight = self.share * (self.tilt if weight is None else weight)
        count = len(self.drawn.x_1)
        noise = batch_noise(0, step, count)
        return objective(model, self.drawn.x_1, noise, weight)["loss"]


def is_least(loss, logits):
    """A point where the gradient vanishes, and every other point is worse."""
    model, least = loss(logits)
    (gradient,) = torch.autograd.grad(least, model.net.logits)
    assert_close(gradient, torch.zeros_like(gradient), atol=1e-10, rtol=0)
    for _ in range(5):
        assert loss(logits + 0.7 * torch.randn(L, V))[1] > least


WORLDS = {"mask": (Mask(V), [V, 1, V]), "uniform": (Uniform(V), [0, 2, 2])}
REWARD = torch.rand(V, V, V, generator=torch.Generator().manual_seed(2)).mul(3).exp().numpy()
worlds = pytest.mark.parametrize("where", WORLDS)
rewards = pytest.mark.parametrize("reward", [None, REWARD], ids=["data", "tilted"])


@divergences
@worlds
@rewards
def test_optimum_of_the_implicit_ratio_is_the_marginals(name, where, reward):
    """(9.1, 10.4): those of p^R where the data carry W."""
    world = World(*WORLDS[where], reward)
    reference = Factorized(Table(REFERENCE), world.path)

    def loss(logits):
        model = Factorized(Table(logits), world.path)
        return model, world.loss(model, reference, divergence=DIVERGENCES[name])

    is_least(loss, world.truth.log())


@divergences
@rewards
@pytest.mark.parametrize("clamp", [None, 20.0])
def test_optimum_of_the_explicit_ratio_is_their_ratio(name, reward, clamp):
    """It normalizes itself: no penalty there, and none needed."""
    world = World(Mask(V), [V, V, V], reward)
    reference = Factorized(Table(REFERENCE), world.path)
    log_r = world.truth.log() - REFERENCE.log_softmax(-1)
    logits = log_r if clamp is None else clamp * torch.atanh(log_r / clamp)
    for penalty in (0.0, 2.0):

        def loss(logits, penalty=penalty):
            model = Explicit(Table(logits), reference, clamp=clamp)
            fields = {"divergence": DIVERGENCES[name], "penalty": penalty}
            return model, world.loss(model, reference, **fields)

        is_least(loss, logits)
    model = Explicit(Table(logits), reference, clamp=clamp)
    drawn = world.drawn
    q = model.log_marginals(drawn.x_t[:1], drawn.t[:1], drawn.noised[:1])[0].exp()
    assert_close(q, world.truth)


def test_weights_on_the_data_alone_lead_to_no_ratio_of_distributions():
    """Why both terms carry W: else r* sums to E[W | x_t], which is not 1."""
    world = World(Mask(V), [V, V, V], REWARD)
    positions, (row, column) = world.drawn.positions(), world.drawn.noised.nonzero().T
    share = world.share[row] / len(world.drawn.x_1)
    tilted = share * world.tilt[row]
    log_reference = REFERENCE.log_softmax(-1)
    mass = tilted.sum() / share.sum()
    assert abs(mass.log()) > 0.1
    log_r = (world.truth.log() - log_reference + mass.log()).requires_grad_()
    rule, here = bregman.bce, log_r[column, positions.x_1]
    both = DensityRatioLoss(rule)(log_r[column], log_reference[column], positions)
    loss = (share * (both + rule.slope(here)) - tilted * rule.slope(here)).sum()
    (gradient,) = torch.autograd.grad(loss, log_r)
    assert_close(gradient, torch.zeros_like(gradient), atol=1e-10, rtol=0)
    assert_close(torch.logsumexp(log_reference + log_r, -1).exp(), mass.expand(L))


@divergences
@pytest.mark.parametrize("kind", ["implicit", "explicit"])
def test_gradient_at_the_start_is_that_of_cross_entropy_by_a_factor(name, kind):
    """(9.2): F″(1)(q_ref − p) a logit; half of cross-entropy for BCE."""
    world = World(Mask(V), [V, V, V])
    reference = Factorized(Table(REFERENCE), world.path)
    start = Factorized(Table(REFERENCE), world.path)
    model = start if kind == "implicit" else Explicit(Table(torch.zeros(L, V)), reference)
    loss = world.loss(model, reference, divergence=DIVERGENCES[name])
    (gradient,) = torch.autograd.grad(loss, model.net.logits)
    expected = CURVATURE[name] * (REFERENCE.softmax(-1) - world.truth) / L
    assert_close(gradient, expected)


def network(chunk=None):
    net = Transformer(vocabulary=V, extra=1, dim=8, depth=1, heads=2, chunk=chunk).double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return net


@pytest.mark.parametrize("weight", [None, torch.tensor([0.2, 3.0, 0.0, 1.0, 0.5, 1.3])])
def test_implicit_generalized_kl_is_cross_entropy_batch_by_batch(weight):
    """(9.2): continued training, up to a constant without a gradient."""
    model, reference = (Factorized(network(), MASKED) for _ in range(2))
    fields = {"corruption": CountSampling(MASKED), "weighting": SequenceMean()}
    ours = DensityRatio(**fields, divergence=bregman.generalized_kl, reference=reference)
    peer = DistributionMatching(**fields, scoring=KL())
    parameters = list(model.net.parameters())
    for step in range(3):
        x_1, noise = torch.randint(V, (6, 7)), batch_noise(0, step, 6)
        first, second = (f(model, x_1, noise, weight) for f in (ours, peer))
        assert_close(first["cross_entropy"], second["cross_entropy"])
        actual = torch.autograd.grad(first["loss"], parameters)
        expected = torch.autograd.grad(second["loss"], parameters)
        for one, other in zip(actual, expected, strict=True):
            assert_close(one, other, rtol=1e-8, atol=1e-12)


@divergences
@pytest.mark.parametrize("kind", ["implicit", "explicit", "free", "uniform"])
@pytest.mark.parametrize("stabilized", [{}, {"penalty": 0.3, "annealing": 10}], ids=str)
def test_chunks_give_values_and_gradients_of_the_whole(name, kind, stabilized):
    """The closed gradient of a chunk is that of autograd."""
    path = Path(Uniform(V), Linear()) if kind == "uniform" else MASKED
    torch.manual_seed(3)
    net, reference = network(), Factorized(network(), path)
    if kind == "uniform":
        model, reference = LeaveOneOut(net, path), LeaveOneOut(network(), path)
    elif kind == "implicit":
        model = Factorized(net, path)
    else:
        model = Explicit(net, reference, clamp=None if kind == "free" else 2.0, zero=False)
    x_1 = torch.randint(V, (5, 9))
    times = torch.linspace(0.1, 0.9, 5)
    drawn = corrupted(path, x_1, path.sample(x_1, times.double(), batch_noise(1, 0, 5)), times)
    objective = DensityRatio(
        FixedCorruption(path, drawn),
        OpenMean(),
        DIVERGENCES[name],
        **stabilized,
        reference=reference,
    )
    actual = []
    for chunk in (None, 4):
        net.chunk = chunk
        terms = objective(model, x_1, batch_noise(0, 4, 5))
        actual.append((terms["loss"], *torch.autograd.grad(terms["loss"], net.parameters())))
    for one, other in zip(*actual, strict=True):
        assert_close(one, other, rtol=1e-7, atol=1e-10)


@divergences
@pytest.mark.parametrize("kind", ["implicit", "explicit"])
def test_annealing_goes_from_the_reference_to_the_data(name, kind):
    """The optimum of a step is a q_ref + (1 − a) p, whose ratio is at least a."""
    world = World(Mask(V), [V, V, V])
    reference = Factorized(Table(REFERENCE), world.path)
    for step, share in ((0, 1.0), (3, 0.4), (5, 0.0), (8, 0.0)):
        truth = share * REFERENCE.softmax(-1) + (1 - share) * world.truth

        def loss(logits, step=step):
            table = Table(logits)
            implicit = kind == "implicit"
            model = Factorized(table, MASKED) if implicit else Explicit(table, reference, None)
            fields = {"divergence": DIVERGENCES[name], "annealing": 5}
            return model, world.loss(model, reference, step, **fields)

        log_r = truth.log() - (0 if kind == "implicit" else REFERENCE.log_softmax(-1))
        is_least(loss, log_r)


def test_the_penalty_is_what_a_ratio_sums_to():
    log_r, log_reference = torch.randn(4, V).double(), torch.randn(4, V).double().log_softmax(-1)
    zero = torch.zeros(4, dtype=torch.int64)
    positions = Positions(zero, zero, torch.zeros(4), range(4))
    plain, paid = (
        DensityRatioLoss(bregman.bce, p)(log_r, log_reference, positions) for p in (0.0, 0.5)
    )
    mass = (log_reference.exp() * log_r.exp()).sum(-1)
    assert_close(paid - plain, 0.5 * mass.log() ** 2)
    normal = log_r - mass.log()[:, None]
    plain, paid = (
        DensityRatioLoss(bregman.bce, p)(normal, log_reference, positions) for p in (0.0, 0.5)
    )
    assert_close(paid, plain)


def test_refusals():
    fields = (CountSampling(MASKED), OpenMean(), bregman.bce)
    for bad in (-0.1, float("inf"), float("nan")):
        with pytest.raises(InputError, match=r"objective\.penalty "):
            DensityRatio(*fields, penalty=bad)
    with pytest.raises(InputError, match=r"objective\.annealing .*-1"):
        DensityRatio(*fields, annealing=-1)
    x_1, noise = torch.zeros(1, L, dtype=torch.int64), batch_noise(0, 0, 1)
    model = Factorized(Table(REFERENCE), MASKED)
    with pytest.raises(InputError, match="reference: found null; DensityRatio needs the folder"):
        DensityRatio(*fields)(model, x_1, noise)
    with pytest.raises(InputError, match=r"DensityRatio needs a posterior .*, found Identity"):
        DensityRatio(*fields, reference=model)(nn.Identity(), x_1, noise)
