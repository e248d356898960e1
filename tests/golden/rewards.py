"""Tilted distributions by enumeration, and a batch of weighed cross-entropies (10.1, 10.2)."""

from collections.abc import Iterator

import torch
from torch import Tensor

from tcsm.data.buffer import Buffer, unweighted
from tcsm.data.tilts import Boltzmann, relative_ess
from tcsm.divergences.scoring_rules import KL
from tcsm.models.factorized import Factorized
from tcsm.objectives.base import SequenceMean
from tcsm.objectives.distribution import DistributionMatching
from tcsm.process.paths import Path
from tcsm.process.schedules import Linear
from tcsm.process.sources import Mask
from tests.enumeration import sequences
from tests.golden.losses import gradient, source
from tests.golden.verdict import Case, Comparison, UnknownKindError
from tests.tables import Table, corrupted, loss_at


def reward(case: Case) -> Iterator[Comparison]:
    """A distribution and its posterior, or a batch."""
    kinds = {"posterior": tilted, "snis_batch": batch}
    if (kind := case.get("kind", "posterior")) not in kinds:
        raise UnknownKindError(f"reward {kind}")
    yield from kinds[kind](case)


def tilted(case: Case) -> Iterator[Comparison]:
    """All sequences as a buffer, p_pre as their importance; Bayes by the path's likelihood."""
    p_pre, rewards = (torch.tensor(case[key], dtype=torch.float64) for key in ("p_pre", "R"))
    path = Path(source(case["source"], len(p_pre)), Linear())
    x = torch.from_numpy(sequences(len(p_pre), p_pre.dim()))
    tilt = Boltzmann(case["beta"])
    p_r = shares(tilt, Buffer(x, rewards.flatten(), p_pre.flatten().log()))
    yield Comparison("p_R", p_r.view(p_pre.shape), case["p_R"])
    chance = evidence(path, torch.tensor(case["xt"]), x, case["alpha"])
    p_t = (p_r * chance).sum()
    yield Comparison("p_t_R", p_t, case["p_t_R"])
    posterior = (p_r * chance / p_t).view(p_pre.shape)
    yield Comparison("post_R", posterior, case["post_R"])
    axes = range(p_pre.dim())
    actual = torch.stack([posterior.sum([j for j in axes if j != i]) for i in axes])
    yield Comparison("marginals_R", actual, case["marginals_R"])
    plain = p_pre.flatten() * chance
    change = (plain * tilt.log_tilt(rewards.flatten()).exp()).sum() / plain.sum()
    yield Comparison("Z_t", change, case["Z_t"])


def batch(case: Case) -> Iterator[Comparison]:
    """Σ_b w_b Σ_{i open} −log q^i with w = softmax(R/β): ours are means of weights of mean 1."""
    logits = torch.tensor(case["logits"], dtype=torch.float64)
    x_1, x_t = torch.tensor(case["x1"]), torch.tensor(case["xt"])
    given = unweighted(x_1, torch.tensor(case["rewards"], dtype=torch.float64))
    log_w = Boltzmann(case["beta"]).log_weights(given)
    yield Comparison("weights", log_w.exp() / len(x_1), case["weights"])
    yield Comparison("ess", relative_ess(log_w) * len(x_1), case["ess"])
    path = Path(Mask(logits.shape[-1]), Linear())
    drawn = corrupted(path, x_1, x_t, torch.full((len(x_1),), 0.5))
    model = Factorized(Table(logits), path)
    fields = {"scoring": KL(), "weighting": SequenceMean()}
    loss = loss_at(DistributionMatching, model, drawn, log_w.exp(), **fields) * x_1.shape[1]
    loss.backward()
    yield Comparison("value", loss.item(), case["value"])
    yield Comparison("grad", gradient(model), case["grad"])


def shares(tilt: Boltzmann, buffer: Buffer) -> Tensor:
    """Weights of sum 1."""
    return tilt.log_weights(buffer).exp() / len(buffer)


def evidence(path: Path, x_t: Tensor, x: Tensor, alpha: float) -> Tensor:
    """p_{t|1}(x_t | x) of every x."""
    states = x_t.expand(x.shape)
    levels = torch.full(states.shape, alpha, dtype=torch.float64)
    return path.log_likelihood(states, levels).gather(-1, x[..., None]).sum((1, 2)).exp()
