"""The fused head: every loss has the values and gradients of the dense path, in few passes."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode

from tcsm.divergences import scoring_rules as rules
from tcsm.divergences import soft
from tcsm.divergences.bregman import (
    Power,
    bce,
    generalized_kl,
    hellinger,
    itakura_saito,
    lsif,
    neyman,
)
from tcsm.divergences.top import Top
from tcsm.models.factorized import Factorized, LeaveOneOut, _LogitLoss
from tcsm.models.losses import CrossEntropy, PositionLoss, ReferenceRatioLoss
from tcsm.neighborhoods.hamming import Hamming
from tcsm.nets.head import automatic, weighted_loss
from tcsm.objectives.base import OpenMean
from tcsm.objectives.density_ratio import DensityRatioLoss
from tcsm.objectives.distribution import ScoringLoss, SoftDistributionMatching, SoftTargetLoss
from tcsm.objectives.policy_gradient import PolicyLoss
from tcsm.objectives.preference import WinnerLoss
from tcsm.objectives.score_matching import (
    LogLinearLoss,
    MatchedSmoothing,
    NeighborhoodLoss,
    PreconditionedLoss,
)
from tcsm.process.corruption import CountSampling, Positions
from tcsm.process.paths import Path
from tcsm.process.schedules import Linear
from tcsm.process.sources import Mask, Uniform
from tcsm.targets.adapters import Plain
from tcsm.targets.bayes import Bayes
from tests.tables import Table

V, D, CHUNK, ROWS = 37, 4, 8, 24
ALL = 2 * ROWS  # half of all positions are masked


def log_distributions(seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(ROWS, V, generator=generator, dtype=torch.float64).log_softmax(-1)


def score(divergence):
    return NeighborhoodLoss(divergence, Hamming(V))


def teacher(divergence, hard=0.0, top=None):
    path = Path(Mask(V), Linear())
    fields = CountSampling(path), OpenMean(), divergence, Bayes(Plain(), path), hard
    objective = SoftDistributionMatching(*fields)
    log_p = log_distributions(1)
    return SoftTargetLoss(objective, log_p if top is None else Top.of(log_p, top))


def ratio(divergence, **fields):
    return ReferenceRatioLoss(DensityRatioLoss(divergence, **fields), log_distributions(2))


class Own(PositionLoss):
    """A new idea: its definition alone."""

    def __call__(self, log_q, positions):
        at_label = log_q.gather(-1, positions.x_1[:, None]).squeeze(-1)
        return (log_q.exp() ** 3).sum(-1) - at_label


# The loss, and the most passes over (all positions) × V of one step.
LOSSES = {
    "kl": (ScoringLoss(rules.KL()), 4),
    "cross entropy": (CrossEntropy(), 4),
    "rule gkl": (ScoringLoss(rules.GeneralizedKL()), 4),
    "rule is": (ScoringLoss(rules.ItakuraSaito()), 4),
    "rule brier": (ScoringLoss(rules.Brier()), 5),
    "rule spherical": (ScoringLoss(rules.Spherical()), 4),
    "rule tsallis": (ScoringLoss(rules.Tsallis(1.5)), 5),
    "rule one-vs-rest": (ScoringLoss(rules.OneVsRest()), 7),
    "score gkl": (score(generalized_kl), 4),
    "score bce": (score(bce), 6),
    "score hellinger": (score(hellinger), 4),
    "score lsif": (score(lsif), 6),
    "score neyman": (score(neyman), 6),
    "score power": (score(Power(0.3)), 6),
    "smoothed gkl": (MatchedSmoothing(score(generalized_kl), 0.05), 8),
    "smoothed hellinger": (MatchedSmoothing(score(hellinger), 0.05), 15),
    "smoothed lsif": (MatchedSmoothing(score(lsif), 0.05), 22),
    "log-linear": (LogLinearLoss(2.0), 4),
    "preconditioned": (PreconditionedLoss(hellinger, 0.5), 65),
    "soft kl": (teacher(soft.ForwardKL()), 8),
    "soft gkl": (teacher(soft.GeneralizedKL()), 8),
    "soft is": (teacher(soft.ItakuraSaito()), 7),
    "soft brier": (teacher(soft.Brier()), 7),
    "soft reverse kl": (teacher(soft.ReverseKL()), 8),
    "soft score gkl": (teacher(soft.ScoreGeneralizedKL()), 11),
    "soft js": (teacher(soft.JensenShannon()), 13),
    "soft tv": (teacher(soft.TotalVariation()), 9),
    "soft and hard": (teacher(soft.ForwardKL(), 0.3), 8),
    "soft brier and hard": (teacher(soft.Brier(), 0.3), 8),
    "soft kl, top 5": (teacher(soft.ForwardKL(), top=5), 4),
    "soft gkl and hard, top 5": (teacher(soft.GeneralizedKL(), 0.3, top=5), 4),
    "soft kl, all in the top": (teacher(soft.ForwardKL(), top=V), None),
    "soft brier and hard, top 5": (teacher(soft.Brier(), 0.3, top=5), 11),
    "soft score bce": (teacher(soft.ScoreLevel(bce)), None),
    "ratio gkl": (ratio(generalized_kl), 7),
    "ratio bce": (ratio(bce), 9),
    "ratio is": (ratio(itakura_saito), 7),
    "ratio hellinger": (ratio(hellinger), 7),
    "ratio bce, annealed": (ratio(bce, share=0.3), 19),
    "ratio lsif, penalized, annealed": (ratio(lsif, penalty=0.1, share=0.3), 11),
    "winners": (WinnerLoss(log_distributions(3)), 9),
    "policy": (PolicyLoss(0.2, torch.linspace(-1, 1, ROWS), log_distributions(4)), 8),
    "own": (Own(), None),
}
# More than 8: a value of its own beside the gradient, each with the logs of p, q and their mean.
every = pytest.mark.parametrize("name", LOSSES)


class Setting:
    """A head, features, and a loss with weights at half of the positions."""

    def __init__(self, loss, dtype=torch.float64, kind=Factorized, bias=True, padding=3):
        generator = torch.Generator().manual_seed(0)
        source = Mask(V) if kind is Factorized else Uniform(V)
        self.head = nn.Linear(D, V, bias=bias).to(dtype)
        for parameter in self.head.parameters():
            nn.init.normal_(parameter, generator=generator)
        self.hidden = torch.randn(ROWS + padding, D, generator=generator).to(dtype)
        self.weight = torch.rand(ROWS, generator=generator, dtype=torch.float64)
        x_1 = torch.randint(V, (ROWS,), generator=generator)
        x_t = torch.full_like(x_1, V) if kind is Factorized else x_1.roll(1)
        times = torch.linspace(0.1, 0.9, ROWS, dtype=torch.float64)
        positions = Positions(x_1, x_t, times, range(ROWS))
        posterior = kind(Table(torch.zeros(1, V)), Path(source, Linear()))
        self.loss = _LogitLoss(posterior, loss, positions)

    def dense(self):
        """The loss and all gradients, plainly."""
        hidden = self.hidden.clone().requires_grad_()
        values = self.loss(self.head(hidden)[:ROWS], slice(0, ROWS))
        total = (self.weight.to(values.loss.dtype) * values.loss).sum()
        return self.found((total, *values), hidden)

    def fused(self, chunk=CHUNK):
        hidden = self.hidden.clone().requires_grad_()
        return self.found(weighted_loss(self.head, hidden, self.loss, self.weight, chunk), hidden)

    def found(self, result, hidden):
        trained = [p for p in self.head.parameters() if p.requires_grad]
        gradients = torch.autograd.grad(2 * result[0], [hidden, *trained], materialize_grads=True)
        return [*(part.detach() for part in result), *gradients]


def agree(found, expected, tolerance=1e-10):
    for one, other in zip(found, expected, strict=True):
        assert (one - other).norm() <= tolerance * max(1.0, other.norm())


@pytest.mark.parametrize(
    ("name", "kind"),
    [*((name, Factorized) for name in LOSSES), ("kl", LeaveOneOut), ("smoothed gkl", LeaveOneOut)],
)
def test_values_and_all_gradients_are_those_of_the_dense_path(name, kind):
    setting = Setting(LOSSES[name][0], kind=kind)
    expected = setting.dense()
    for chunk in (CHUNK, 1000):
        agree(setting.fused(chunk), expected)


@every
def test_bf16(name):
    """Products in bf16, the loss in fp32, as under autocast in the dense path."""
    setting = Setting(LOSSES[name][0], torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        expected, actual = setting.dense(), setting.fused()
    agree(actual, expected, 0.03)


@pytest.mark.parametrize("frozen", ["weight", "bias", "both", "hidden"])
def test_what_is_frozen_gets_no_gradient(frozen):
    setting = Setting(score(generalized_kl))
    names = {"both": ["weight", "bias"], "hidden": []}.get(frozen, [frozen])
    for name in names:
        getattr(setting.head, name).requires_grad_(False)
    if frozen == "hidden":
        result = weighted_loss(setting.head, setting.hidden, setting.loss, setting.weight, CHUNK)
        result.total.backward()
        by_weight = setting.head.weight.grad
        assert_close(2 * by_weight, setting.dense()[4])
    else:
        agree(setting.fused(), setting.dense())


def test_a_loss_without_gradients_forms_none():
    setting = Setting(score(bce))
    with torch.no_grad():
        result = weighted_loss(setting.head, setting.hidden, setting.loss, setting.weight, CHUNK)
    assert not result.total.requires_grad
    agree(result, setting.dense()[:3])


def test_automatic_chunks_shrink_with_the_vocabulary():
    cpu = torch.device("cpu")
    assert automatic(50257, cpu) < 1000 < automatic(27, cpu)
    assert automatic(10**9, cpu) == 1


class Passes(TorchDispatchMode):
    """Counts blocks of chunk × V numbers that operations read or write.

    A block that an operation changes in place counts once; matrix products count like the others.
    Views, empty memory, and reads or writes at one token a position do not count.
    """

    FREE = ("empty", "gather", "scatter", "detach")

    def __init__(self):
        super().__init__()
        self.blocks, self.allocated = 0, 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        given = self._large([*args, *(kwargs or {}).values()])
        made = self._large(result if isinstance(result, tuple | list) else [result])
        returns = function._schema.returns
        view = any(r.alias_info is not None and not r.alias_info.is_write for r in returns)
        if not view:
            pointers = {t.data_ptr() for t in given}
            new = [t for t in made if t.data_ptr() not in pointers]
            self.allocated += sum(t.numel() for t in new)
            if not any(word in str(function) for word in self.FREE):
                self.blocks += len(pointers | {t.data_ptr() for t in new})
        return result

    @staticmethod
    def _large(values):
        flat = [v for value in values for v in (value if isinstance(value, list) else [value])]
        return [t for t in flat if isinstance(t, torch.Tensor) and t.numel() >= CHUNK * V]


def in_fp32(loss):
    if isinstance(log_p := getattr(loss, "log_p", None), Top):
        return replace(loss, log_p=replace(log_p, log_p=log_p.log_p.float()))
    names = [name for name in ("log_p", "log_reference") if hasattr(loss, name)]
    return (
        replace(loss, **{name: getattr(loss, name).float() for name in names}) if names else loss
    )


def passes(step):
    with Passes() as counted:
        step()
    return counted.blocks * CHUNK / ALL, counted.allocated


@pytest.mark.parametrize("name", [name for name in LOSSES if LOSSES[name][1]])
def test_passes_over_the_vocabulary_in_one_step(name):
    """Per (all positions) × V, half of the positions masked; the dense path of KL takes 5.5."""
    loss, most = LOSSES[name]
    setting = Setting(in_fp32(loss), torch.float32, bias=False, padding=0)
    actual, allocated = passes(setting.fused)
    assert actual <= most
    if most <= 4:
        assert allocated == 2 * CHUNK * V
    assert passes(setting.dense)[0] * ROWS / CHUNK >= actual
