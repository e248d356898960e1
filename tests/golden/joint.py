"""Residual energies: score level over blocks, and EDLM's contrast (6.6, 9.1)."""

from collections.abc import Iterator

import torch
from torch import Tensor

from tcsm.divergences.bregman import bce
from tcsm.models.factorized import Factorized
from tcsm.models.joint import Joint
from tcsm.neighborhoods.hamming_k import HammingK
from tcsm.objectives.base import OpenMean
from tcsm.objectives.density_ratio import NoiseContrastive
from tcsm.objectives.score_matching import SampledScoreMatching
from tcsm.process.corruption import CountSampling
from tcsm.process.paths import Path
from tcsm.process.schedules import Linear
from tcsm.process.sources import Mask
from tests.golden.losses import divergence
from tests.golden.verdict import Case, Comparison
from tests.tables import Table, TableEnergy, corrupted, loss_at


def energy(case: Case) -> Iterator[Comparison]:
    """Value, and gradient by the table of energies."""
    table = TableEnergy(torch.tensor(case["energy"], dtype=torch.float64))
    loss = contrast(case, table) if "x_neg" in case else blocks(case, table)
    loss.backward()
    yield Comparison("value", loss.item(), case["value"])
    yield Comparison("grad_energy", table.energy.grad, case["grad_energy"])


def blocks(case: Case, table: TableEnergy) -> Tensor:
    """All blocks of k positions, every position masked."""
    logits = torch.tensor(case["ref_logits"], dtype=torch.float64)
    vocabulary = logits.shape[-1]
    path = Path(Mask(vocabulary), Linear())
    x_1 = torch.tensor([case["x1"]])
    drawn = corrupted(path, x_1, torch.full_like(x_1, vocabulary), torch.tensor([0.5]))
    fields = {
        "divergence": divergence(case["divergence"]),
        "neighborhood": HammingK(vocabulary, case["k"]),
        "weighting": OpenMean(),
    }
    model = Joint(table, Factorized(Table(logits), path))
    return loss_at(SampledScoreMatching, model, drawn, **fields)


def contrast(case: Case, table: TableEnergy) -> Tensor:
    """Every positive beside all negatives."""
    path = Path(Mask(len(case["energy"])), Linear())
    objective = NoiseContrastive(CountSampling(path), OpenMean(), bce)
    positive, negative = (torch.tensor(case[name]) for name in ("x_pos", "x_neg"))
    log_r = [-table.energy[x.unbind(-1)] for x in (positive, negative)]
    return objective.contrast(log_r[0], log_r[1].expand(len(positive), -1)).mean()
