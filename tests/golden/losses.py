"""Losses of factorized posteriors and their gradients by the logits (3.4, 3.7a, 5.1, 5.2, 6.1)."""

import warnings
from collections.abc import Iterator

import torch
from torch import nn

from tcsm.divergences import bregman, soft
from tcsm.divergences import scoring_rules as scoring
from tcsm.divergences.bregman import Bregman
from tcsm.divergences.scoring_rules import ScoringRule
from tcsm.divergences.soft import SoftDivergence
from tcsm.models.factorized import Factorized, LeaveOneOut
from tcsm.models.teacher import Tabulated
from tcsm.neighborhoods.hamming import Hamming
from tcsm.neighborhoods.hamming_k import HammingK
from tcsm.objectives.base import OpenMean
from tcsm.objectives.distribution import DistributionMatching, SoftDistributionMatching
from tcsm.objectives.score_matching import FullScoreMatching, ScoreMatching
from tcsm.process.corruption import Corrupted
from tcsm.process.paths import Path
from tcsm.process.schedules import Linear
from tcsm.process.sources import Mask, Source, Uniform
from tcsm.targets.bayes import Bayes
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
SOFT: dict[str, SoftDivergence] = {
    "fkl": soft.ForwardKL(),
    "gkl": soft.GeneralizedKL(),
    "is": soft.ItakuraSaito(),
    "brier": soft.Brier(),
    "rkl": soft.ReverseKL(),
    "js": soft.JensenShannon(),
    "tv_smooth": soft.TotalVariation(1e-3),
    "score_gkl": soft.ScoreGeneralizedKL(),
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


def soft_divergence(name: str) -> SoftDivergence:
    """A row of (5.2); what is not there is a row of (3.4) or (5.1) against a known target."""
    if name in SOFT:
        return SOFT[name]
    if name.startswith("score_"):
        return soft.ScoreLevel(divergence(name.removeprefix("score_")))
    return soft.Proper(rule(name))


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
    """Score level over 1-balls position by position, raw or with matched smoothing."""
    fields = {
        "divergence": divergence(case["divergence"]),
        "neighborhood": Hamming(case["V"]),
        "smoothing": case.get("eps", 0.0),
    }
    yield from compare(case, ScoreMatching, fields)


def blocks(case: Case) -> Iterator[Comparison]:
    """Score level over blocks of k positions, all at once."""
    fields = {
        "divergence": divergence(case["divergence"]),
        "neighborhood": HammingK(case["V"], case["k"]),
    }
    with warnings.catch_warnings(action="ignore"):
        yield from compare(case, FullScoreMatching, fields)


def both(case: Case) -> Iterator[Comparison]:
    """Two ways to one number."""
    yield from score(case)
    yield from blocks(case)


def distribution(case: Case) -> Iterator[Comparison]:
    """Scoring rules in Savage's form."""
    yield from compare(case, DistributionMatching, {"scoring": rule(case["divergence"])})


def parametric(case: Case) -> Iterator[Comparison]:
    """Targets of a tabulated distribution of the data, and the divergence from them."""
    path = model(case).path
    target = Bayes(Tabulated(torch.tensor(case["p1"], dtype=torch.float64).log()), path)
    fields = {"divergence": soft_divergence(case["divergence"]), "target": target}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*moves a factorized model")
        yield from compare(case, SoftDistributionMatching, fields)
    rows = torch.tensor(case["targets"], dtype=torch.float64)[case["active"]]
    yield Comparison("targets", target(instant(case, path)).exp(), rows)


def instant(case: Case, path: Path) -> Corrupted:
    """The case's one noised sequence."""
    x_1, x_t = (torch.tensor([case[name]]) for name in ("x1", "xt"))
    t = path.schedule.inverse(torch.tensor([case["alpha"]], dtype=torch.float64))
    return corrupted(path, x_1, x_t, t)


def compare(case: Case, objective: type, fields: dict[str, object]) -> Iterator[Comparison]:
    """Noised positions, value and gradient of one case."""
    posterior = model(case)
    drawn = instant(case, posterior.path)
    yield Comparison("active", drawn.noised[0].nonzero().flatten(), case["active"])
    loss = loss_at(objective, posterior, drawn, weighting=OpenMean(), **fields)
    loss.backward()
    yield Comparison("value", loss.item(), case["value"])
    yield Comparison("grad", gradient(posterior), case["grad"])


def gradient(posterior: nn.Module) -> torch.Tensor:
    """Of the only parameter there is."""
    (logits,) = posterior.parameters()
    assert logits.grad is not None
    return logits.grad
