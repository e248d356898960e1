"""From draws of a bound to numbers with error bars: BPC, PPL, loss by noise level (11.7)."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float64, Int
from torch import Tensor

from tcsm.evaluation.bound import Draws


@dataclass(frozen=True)
class Rate:
    """Σ b / Σ size over sequences, and its standard error over sequences."""

    value: float
    se: float


def rate(nats: Float64[Tensor, "N"], size: Int[Tensor, "N"]) -> Rate:
    """Return nats per unit of size, by the ratio estimator.

    Its error is that of the residuals b − r·size, linearized; it includes the Monte-Carlo noise of
    the draws, which are independent between sequences (11.7). One sequence has no error: nan.
    """
    units = size.double()
    value = nats.sum() / units.sum()
    residual = nats - value * units
    count = len(nats)
    spread = residual.square().sum() / max(1, count - 1)
    se = (spread / count).sqrt() / units.mean() if count > 1 else torch.tensor(torch.nan)
    return Rate(float(value), float(se))


def bits_per_character(nats: Float64[Tensor, "N"], characters: Int[Tensor, "N"]) -> Rate:
    """Return BPC = Σ b / (ln 2 Σ characters)."""
    in_nats = rate(nats, characters)
    return Rate(in_nats.value / math.log(2), in_nats.se / math.log(2))


def draws_error(rounds: Float64[Tensor, "N R"], characters: Int[Tensor, "N"]) -> float:
    """Return the standard error of BPC by the draws alone, the sequences given.

    It is what more draws reduce, from R independent means of draws of each sequence; the error
    over sequences (`bits_per_character`) holds it and the spread of the text.
    """
    variance = rounds.var(1) / rounds.shape[1]
    return float(variance.sum().sqrt() / characters.double().sum()) / math.log(2)


def perplexity(nats: Float64[Tensor, "N"], tokens: int) -> float:
    """Return PPL = exp(Σ b / Σ tokens), infinite from 710 nats per token."""
    return float(torch.exp(nats.sum() / tokens))


@dataclass(frozen=True)
class Level:
    """Mean cross-entropy of a noised position in a range of noise levels.

    Attributes:
        alpha: middle of the range of α.
        nats: mean over draws.
        se: its standard error.
        draws: how many fell in the range.
    """

    alpha: float
    nats: float
    se: float
    draws: int


def by_level(draws: Draws, ranges: int = 10) -> list[Level]:
    """Return cross-entropy against α in equal ranges, omitting those with fewer than two draws."""
    alpha, nats = draws.level.flatten(), draws.noised_nats.flatten()
    kept = alpha.isfinite() & nats.isfinite()
    alpha, nats = alpha[kept], nats[kept]
    place = (alpha * ranges).long().clamp(max=ranges - 1)
    levels = []
    for index in range(ranges):
        inside = nats[place == index]
        if len(inside) > 1:
            se = float(inside.std() / len(inside) ** 0.5)
            levels.append(Level((index + 0.5) / ranges, float(inside.mean()), se, len(inside)))
    return levels
