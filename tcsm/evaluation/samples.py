"""Statistics of samples; low entropy or much repetition indicates mode collapse."""

import math

import torch
from jaxtyping import Int
from torch import Tensor


def entropy(tokens: Int[Tensor, "B L"]) -> float:
    """Return entropy of the token frequencies over all samples, bits."""
    share = torch.bincount(tokens.flatten()).double() / tokens.numel()
    return float(-torch.special.xlogy(share, share).sum() / math.log(2))


def distinct(tokens: Int[Tensor, "B L"], n: int) -> float:
    """Return distinct n-grams over all n-grams of the set; 0 where samples are shorter than n."""
    grams = _grams(tokens, n)
    return len(torch.unique(grams, dim=0)) / len(grams) if len(grams) else 0.0


def repetition(tokens: Int[Tensor, "B L"], n: int) -> float:
    """Return the mean over samples of the share of n-grams that repeat an earlier one."""
    if tokens.shape[1] < n:
        return 0.0
    rows = [_grams(row[None], n) for row in tokens]
    return sum(1 - len(torch.unique(row, dim=0)) / len(row) for row in rows) / len(rows)


def _grams(tokens: Int[Tensor, "B L"], n: int) -> Int[Tensor, "G n"]:
    if tokens.shape[1] < n:
        return tokens.new_empty(0, n)
    return tokens.unfold(1, n, 1).reshape(-1, n)
