"""Density ratios: implicit and explicit at one position, and of whole sequences (9.1-9.5)."""

from collections.abc import Iterator

import torch
from torch import Tensor

from tcsm.models.explicit import Explicit
from tcsm.models.factorized import Factorized
from tcsm.objectives.base import OpenMean
from tcsm.objectives.density_ratio import DensityRatio, SequenceDensityRatio, at_sequences
from tcsm.process.corruption import Corrupted, CountSampling
from tcsm.process.paths import Path
from tcsm.process.schedules import Linear
from tcsm.process.sources import Mask
from tests.golden.losses import divergence
from tests.golden.verdict import Case, Comparison
from tests.tables import Table, corrupted, loss_at


def ratio(case: Case) -> Iterator[Comparison]:
    """Of one position, or of sequences."""
    if case.get("level") == "sequence":
        yield from sequence(case)
        return
    reference = factorized([case["ref_logits"]])
    label = torch.tensor([[case["x"]]])
    model = factorized([case["logits"]])
    loss = at_position(case, model, reference, label)
    loss.backward()
    yield Comparison("value", loss.item(), case["value"])
    yield Comparison("grad", model.net.logits.grad[0], case["grad"])
    if "explicit" in case:
        yield from explicit(case, case["explicit"], reference)


def explicit(case: Case, free: Case, reference: Factorized) -> Iterator[Comparison]:
    """Log r is a table; every label, weighed by its probability."""
    p = torch.tensor(free["p"], dtype=torch.float64)
    table = Table(torch.tensor([free["log_r"]], dtype=torch.float64))
    model = Explicit(table, reference, clamp=None)
    labels = torch.arange(len(p))[:, None]
    loss = at_position(case, model, reference, labels, p * len(p))
    loss.backward()
    yield Comparison("explicit value", loss.item(), free["value"])
    yield Comparison("explicit grad", table.logits.grad[0], free["grad"])
    log_reference = reference.net.logits[0].log_softmax(-1)
    distribution = divergence(case["divergence"])
    log_true = p.log() - log_reference
    between = (log_reference.exp() * distribution.between(log_true, table.logits[0])).sum()
    constant = (log_reference.exp() * distribution.generator(log_true)).sum()
    yield Comparison("bregman", between.item(), free["bregman"])
    yield Comparison("bregman of the loss", (loss + constant).item(), free["bregman"])


def sequence(case: Case) -> Iterator[Comparison]:
    """Every positive beside all negatives, every position masked."""
    model, reference = factorized(case["logits"]), factorized(case["ref_logits"])
    objective = SequenceDensityRatio(
        CountSampling(model.path), OpenMean(), divergence(case["divergence"])
    )
    positive, negative = (torch.tensor(case[name]) for name in ("x_pos", "x_neg"))
    drawn = masked(model.path, positive)
    log_q, log_reference = (
        each.log_conditionals(drawn.x_t, drawn.t, drawn.noised) for each in (model, reference)
    )
    x = torch.cat([positive[:, None], negative.expand(len(positive), -1, -1)], 1)
    log_r = at_sequences(log_q - log_reference, x, drawn)
    loss = objective.contrast(log_r[:, 0], log_r[:, 1:]).mean()
    loss.backward()
    yield Comparison("value", loss.item(), case["value"])
    yield Comparison("grad", model.net.logits.grad, case["grad"])


def at_position(
    case: Case,
    model: Factorized | Explicit,
    reference: Factorized,
    labels: Tensor,
    weight: Tensor | None = None,
) -> Tensor:
    """The loss of sequences of one masked position."""
    fields = {"divergence": divergence(case["divergence"]), "reference": reference}
    drawn = masked(model.path, labels)
    return loss_at(DensityRatio, model, drawn, weight, weighting=OpenMean(), **fields)


def factorized(logits: list[list[float]]) -> Factorized:
    """A posterior whose logits do not depend on x_t."""
    table = torch.tensor(logits, dtype=torch.float64)
    return Factorized(Table(table), Path(Mask(table.shape[-1]), Linear()))


def masked(path: Path, x_1: Tensor) -> Corrupted:
    """Nothing is known."""
    times = torch.full((len(x_1),), 0.5)
    return corrupted(path, x_1, torch.full_like(x_1, path.source.vocabulary), times)
