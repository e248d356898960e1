"""Per-position losses and their gradients by the logits (3.4, 3.7a, 5.1)."""

from collections.abc import Iterator

import torch
from torch import nn

from tcsm import bregman, scoring
from tcsm.bregman import Bregman
from tcsm.neighborhoods.hamming import Hamming
from tcsm.objectives.base import OpenMean
from tcsm.objectives.distribution import DistributionMatching
from tcsm.objectives.score import ScoreMatching
from tcsm.posteriors.factorized import Factorized, LeaveOneOut
from tcsm.process.paths import Path
from tcsm.process.schedules import Linear
from tcsm.process.sources import Mask, Source, Uniform
from tcsm.scoring import ScoringRule
from tests.golden.verdict import Case, Comparison, UnknownKindError
from tests.tables import Table, corrupted, loss_at

DIVERGENCES: dict[str, Bregman] = {
    "gkl": bregman.generalized_kl,
    "is": bregman.itakura_saito,
    "lsif": bregman.lsif,
    "pearson": bregman.pearson,
    "neyman": bregman.neyman,
    "hellinger": bregman.hellinger,
    "bce": bregman.bce,
}
RULES: dict[str, ScoringRule] = {
    "kl": scoring.KL(),
    "gkl": scoring.GeneralizedKL(),
    "is": scoring.ItakuraSaito(),
    "brier": scoring.Brier(),
    "spherical": scoring.Spherical(),
    "ovr": scoring.OneVsRest(),
}
PARAMETERIZATIONS: dict[str, type[Factorized]] = {"posterior": Factorized, "loo": LeaveOneOut}


def divergence(name: str) -> Bregman:
    """A row of (3.4)."""
    if name.startswith("power_"):
        return bregman.Power(float(name.removeprefix("power_")))
    if name not in DIVERGENCES:
        raise UnknownKindError(f"score divergence {name}")
    return DIVERGENCES[name]


def rule(name: str) -> ScoringRule:
    """A row of (5.1)."""
    if name.startswith("tsallis_"):
        return scoring.Tsallis(float(name.removeprefix("tsallis_")))
    if name not in RULES:
        raise UnknownKindError(f"distribution divergence {name}")
    return RULES[name]


def source(name: str, vocabulary: int) -> Source:
    """The two sources by name."""
    kinds = {"mask": Mask, "uniform": Uniform}
    if name not in kinds:
        raise UnknownKindError(f"source {name}")
    return kinds[name](vocabulary)


def model(case: Case) -> Factorized:
    """A posterior whose logits are the case's."""
    if case["param"] not in PARAMETERIZATIONS:
        raise UnknownKindError(f"parameterization {case['param']}")
    path = Path(source(case["source"], case["V"]), Linear())
    logits = torch.tensor(case["logits"], dtype=torch.float64)
    return PARAMETERIZATIONS[case["param"]](Table(logits), path)


def score(case: Case) -> Iterator[Comparison]:
    """Score level over 1-balls, raw or with matched smoothing."""
    fields = {
        "divergence": divergence(case["divergence"]),
        "neighborhood": Hamming(case["V"]),
        "smoothing": case.get("eps", 0.0),
    }
    yield from compare(case, ScoreMatching, fields)


def distribution(case: Case) -> Iterator[Comparison]:
    """Scoring rules in Savage's form."""
    yield from compare(case, DistributionMatching, {"scoring": rule(case["divergence"])})


def compare(case: Case, objective: type, fields: dict[str, object]) -> Iterator[Comparison]:
    """Open sites, value and gradient of one case."""
    posterior = model(case)
    x_1, x_t = (torch.tensor([case[name]]) for name in ("x1", "xt"))
    t = posterior.path.schedule.inverse(torch.tensor([case["alpha"]], dtype=torch.float64))
    drawn = corrupted(posterior.path, x_1, x_t, t)
    yield Comparison("active", drawn.open[0].nonzero().flatten(), case["active"])
    loss = loss_at(objective, posterior, drawn, weighting=OpenMean(), **fields)
    loss.backward()
    yield Comparison("value", loss.item(), case["value"])
    yield Comparison("grad", gradient(posterior), case["grad"])


def gradient(posterior: nn.Module) -> torch.Tensor:
    """Of the only parameter there is."""
    (logits,) = posterior.parameters()
    assert logits.grad is not None
    return logits.grad
