"""Soft targets: the same optimum as data where linear, less variance, and where others lead."""

import warnings

import pytest
import torch
from torch.testing import assert_close

from tcsm.divergences import soft
from tcsm.divergences.bregman import bce
from tcsm.divergences.scoring_rules import KL, Spherical
from tcsm.errors import InputError
from tcsm.models.autoregressive import Autoregressive
from tcsm.models.explicit import Explicit
from tcsm.models.factorized import Factorized, LeaveOneOut
from tcsm.models.teacher import Tabulated, Teacher
from tcsm.nets.transformer import Transformer
from tcsm.noise import batch_noise
from tcsm.objectives.base import OpenMean, SequenceMean
from tcsm.objectives.distribution import DistributionMatching, SoftDistributionMatching
from tcsm.process.corruption import TimeSampling
from tcsm.process.paths import Path
from tcsm.process.schedules import Linear
from tcsm.process.sources import Mask, Uniform
from tcsm.targets.bayes import Bayes
from tests.enumeration import bayes, kernel, marginals, random_distribution, sequences
from tests.tables import Table, corrupted, loss_at

V = L = 3
LAW = random_distribution(V, L, 0)
TEACHER = Tabulated(torch.from_numpy(LAW).log())
LINEAR = [
    soft.ForwardKL(),
    soft.GeneralizedKL(),
    soft.ItakuraSaito(),
    soft.Brier(),
    soft.ScoreGeneralizedKL(),
    soft.ScoreLevel(bce),
    soft.Proper(Spherical()),
]
OTHERS = [soft.ReverseKL(), soft.JensenShannon(), soft.TotalVariation()]


def named(divergence):
    return type(divergence).__name__


SOURCES = pytest.mark.parametrize(
    ("source", "x_t"), [(Mask(V), [V, 1, V]), (Uniform(V), [0, 2, 2])], ids=["mask", "uniform"]
)


class World:
    """One x_t, and all x₁ by their posterior weight."""

    def __init__(self, source, x_t):
        self.path, state = Path(source, Linear()), torch.tensor(x_t)
        joint, _ = bayes(LAW, state.numpy(), kernel(0.4, V, isinstance(source, Mask)))
        weight = torch.from_numpy(joint).flatten()
        x_1 = torch.from_numpy(sequences(V, L))[weight > 0]
        self.weight, self.marginals = weight[weight > 0], torch.from_numpy(marginals(joint))
        times = torch.full((len(x_1),), 0.4, dtype=torch.float64)
        self.drawn = corrupted(self.path, x_1, state.expand(len(x_1), -1), times)
        self.target = Bayes(TEACHER, self.path)

    def gradient(self, objective, logits, rows=None, **fields):
        """Of the expected loss, or of single x₁."""
        model = Factorized(Table(logits), self.path)
        weight = self.weight if rows is None else torch.eye(len(self.weight))[rows].double()
        share = weight * len(self.weight)
        fields = {"weighting": OpenMean(), "row_weight": share} | fields
        loss_at(objective, model, self.drawn, **fields).backward()
        return model.net.logits.grad

    def soft(self, divergence, logits, rows=None):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fields = {"divergence": divergence, "target": self.target}
            return self.gradient(SoftDistributionMatching, logits, rows, **fields)


@pytest.mark.parametrize("divergence", LINEAR, ids=named)
@SOURCES
def test_linear_divergences_reach_the_marginals(divergence, source, x_t):
    world = World(source, x_t)
    gradient = world.soft(divergence, world.marginals.clamp(min=1e-30).log())
    assert_close(gradient, torch.zeros(L, V).double(), atol=1e-10, rtol=0)


@pytest.mark.parametrize("divergence", OTHERS, ids=named)
@SOURCES
def test_others_do_not(divergence, source, x_t):
    world = World(source, x_t)
    assert world.soft(divergence, world.marginals.clamp(min=1e-30).log()).abs().max() > 1e-4


@SOURCES
def test_reverse_kl_leads_to_the_normalized_geometric_mean(source, x_t):
    """(2.5): log q = E log p^i + const."""
    world = World(source, x_t)
    log_p, row = world.target(world.drawn), world.drawn.noised.nonzero()[:, 0]
    noised_positions = world.drawn.noised[0]
    mean = torch.zeros(int(noised_positions.sum()), V).double()
    mean.index_add_(
        0,
        torch.arange(len(mean)).repeat(len(world.weight)),
        world.weight[row, None] * log_p,
    )
    logits = torch.zeros(L, V).double()
    logits[noised_positions] = mean
    gradient = world.soft(soft.ReverseKL(), logits)
    assert_close(gradient, torch.zeros(L, V).double(), atol=1e-10, rtol=0)


@SOURCES
def test_a_teachers_own_texts_lead_to_its_posterior_and_others_to_a_mixture(source, x_t):
    """(7.7): E[p_T(· | x^{≠i}, x_t) | x_t] over the distribution of the texts."""
    world, teacher = World(source, x_t), torch.from_numpy(random_distribution(V, L, 1))
    world.target = Bayes(Tabulated(teacher.log()), world.path)
    row, column = world.drawn.noised.nonzero(as_tuple=True)
    prior = torch.from_numpy(LAW)[world.drawn.x_1.unbind(-1)]
    own = world.weight / prior * teacher[world.drawn.x_1.unbind(-1)]
    joint, _ = bayes(
        teacher.numpy(), world.drawn.x_t[0].numpy(), kernel(0.4, V, isinstance(source, Mask))
    )
    posterior = torch.from_numpy(marginals(joint))
    for weight, expected in ((own / own.sum(), posterior), (world.weight, None)):
        world.weight = weight
        mixture = posterior.clone()
        mixture[world.drawn.noised[0]] = 0
        mixture.index_add_(0, column, weight[row, None] * world.target(world.drawn).exp())
        gradient = world.soft(soft.ForwardKL(), mixture.clamp(min=1e-30).log())
        assert_close(gradient, torch.zeros(L, V).double(), atol=1e-10, rtol=0)
        if expected is not None:
            assert_close(mixture, expected)
    assert all(
        (mixture - distribution).abs().max() > 0.01
        for distribution in (posterior, world.marginals)
    )


@SOURCES
def test_soft_targets_are_unbiased_and_vary_less(source, x_t):
    """The gradient of each x₁ under both: equal means, less variance (5.2)."""
    world, logits = World(source, x_t), torch.randn(L, V).double()
    rows = range(len(world.weight))
    by_data = [world.gradient(DistributionMatching, logits, r, scoring=KL()) for r in rows]
    by_target = [world.soft(soft.ForwardKL(), logits, r) for r in rows]
    weight = world.weight[:, None, None]
    hard, targets = torch.stack(by_data), torch.stack(by_target)
    mean = (weight * hard).sum(0)
    assert_close((weight * targets).sum(0), mean)
    spread = [(weight * (actual - mean) ** 2).sum().item() for actual in (hard, targets)]
    assert spread[1] < 0.6 * spread[0]


def small(chunk=None, extra=1):
    net = Transformer(vocabulary=V, extra=extra, dim=8, depth=1, heads=1, chunk=chunk).double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return net


@pytest.mark.parametrize("hard", [0.0, 0.3])
@pytest.mark.parametrize("divergence", [soft.ForwardKL(), soft.Brier()], ids=named)
@pytest.mark.parametrize("parameterization", [Factorized, LeaveOneOut])
def test_chunks_find_their_own_targets(divergence, hard, parameterization):
    path = Path(Mask(V), Linear())
    fields = {"divergence": divergence, "target": Bayes(TEACHER, path), "hard": hard}
    objective = SoftDistributionMatching(
        corruption=TimeSampling(path), weighting=SequenceMean(), **fields
    )
    whole = small()
    parts = small(chunk=2)
    parts.load_state_dict(whole.state_dict())
    x_1, noise = torch.randint(V, (7, L)), batch_noise(0, 0, 7)
    actual = []
    for net in (whole, parts):
        loss = objective(parameterization(net, path), x_1, noise)["loss"]
        actual.append([loss.detach(), *torch.autograd.grad(loss, list(net.parameters()))])
    for one, other in zip(*actual, strict=True):
        assert_close(one, other)


@pytest.mark.parametrize("hard", [0.0, 0.3])
@pytest.mark.parametrize("divergence", [soft.ForwardKL(), soft.Brier()], ids=named)
@pytest.mark.parametrize("source", [Mask(V), Uniform(V)], ids=["mask", "uniform"])
def test_targets_of_few_tokens_are_those_with_an_even_rest(source, divergence, hard):
    """Whatever the divergence and the source, and whether a token has no probability at all."""
    path, law = Path(source, Linear()), torch.from_numpy(LAW).log()
    law[:, :, 2] = -torch.inf
    model = Factorized(small(4, source.states - V), path)
    x_1, noise = torch.randint(2, (7, L)), batch_noise(0, 0, 7)

    def gradients(target, **top):
        objective = SoftDistributionMatching(
            TimeSampling(path), OpenMean(), divergence, target, hard, **top
        )
        loss = objective(model, x_1, noise)["loss"]
        return [loss.detach(), *torch.autograd.grad(loss, list(model.parameters()))]

    for k in (1, 2, V):
        dense = Bayes(Rounded(Tabulated(law), k), path)
        sparse = gradients(Bayes(Tabulated(law), path), top=k)
        for one, other in zip(sparse, gradients(dense), strict=True):
            assert_close(one, other, rtol=1e-10, atol=1e-12)
    with pytest.raises(InputError, match=r"objective\.top must lie in \[1, 3\], found 4"):
        gradients(dense, top=4)


class Rounded(Teacher):
    """A teacher whose distributions keep k tokens, the others being equal, plainly."""

    def __init__(self, teacher, k):
        self.teacher, self.k = teacher, k

    def log_conditionals(self, x_1, positions):
        p = self.teacher.log_conditionals(x_1, positions).exp()
        for row in p:
            others = row.argsort(descending=True, stable=True)[self.k :]
            row[others] = row[others].mean()
        return p.log()


def test_a_mixture_is_the_sum_of_its_parts():
    path = Path(Uniform(V), Linear())
    model = LeaveOneOut(Table(torch.randn(L, V)), path)
    x_1 = torch.randint(V, (5, L))
    drawn = corrupted(path, x_1, torch.randint(V, (5, L)), torch.rand(5))
    fields = {"divergence": soft.ForwardKL(), "target": Bayes(TEACHER, path)}

    def loss(hard):
        given = {**fields, "hard": hard, "weighting": OpenMean()}
        return loss_at(SoftDistributionMatching, model, drawn, **given)

    data = loss_at(DistributionMatching, model, drawn, scoring=KL(), weighting=OpenMean())
    assert_close(loss(0.25), 0.75 * loss(0.0) + 0.25 * data)


@pytest.mark.parametrize("explicit", [False, True])
def test_what_moves_a_factorized_model_is_warned_about(explicit):
    """Every posterior has independent positions, one by its ratio to a reference too."""
    path = Path(Mask(V), Linear())
    model = Factorized(Table(torch.randn(L, V)), path)
    if explicit:
        model = Explicit(Table(torch.randn(L, V)), model)
    drawn = corrupted(
        path, torch.tensor([[0, 1, 2]]), torch.tensor([[V, 1, V]]), torch.ones(1) / 2
    )
    fields = {"target": Bayes(TEACHER, path), "weighting": OpenMean()}
    with pytest.warns(UserWarning, match="JensenShannon moves a factorized model"):
        loss_at(SoftDistributionMatching, model, drawn, divergence=soft.JensenShannon(), **fields)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loss_at(SoftDistributionMatching, model, drawn, divergence=soft.ForwardKL(), **fields)


def test_a_wrong_share_and_a_wrong_model_are_refused():
    path = Path(Mask(V), Linear())
    fields = {"corruption": TimeSampling(path), "weighting": OpenMean()}
    fields |= {"divergence": soft.ForwardKL(), "target": Bayes(TEACHER, path)}
    with pytest.raises(InputError, match=r"objective\.hard must lie in \[0, 1\), found 1"):
        SoftDistributionMatching(**fields, hard=1.0)
    net = Transformer(vocabulary=V, extra=1, dim=8, depth=1, heads=1, causal=True)
    with pytest.raises(InputError, match=r"posterior.*found Autoregressive"):
        SoftDistributionMatching(**fields)(
            Autoregressive(net), torch.zeros(1, L).long(), batch_noise(0, 0, 1)
        )
