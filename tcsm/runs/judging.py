"""Scores of texts apart from any reward: by an autoregressive judge, and by their variety."""

import torch
from jaxtyping import Float64, Int64
from torch import Tensor, nn

from tcsm.data.tokenizers import Tokenizer
from tcsm.errors import InputError
from tcsm.evaluation.estimates import Rate, bits_per_character
from tcsm.evaluation.samples import distinct, entropy, repetition
from tcsm.models.autoregressive import Autoregressive


def as_judge(model: nn.Module, folder: str) -> Autoregressive:
    """Return the model of a run that scores samples.

    Raises:
        InputError: It is not autoregressive.
    """
    if not isinstance(model, Autoregressive):
        raise InputError(f"judge: {folder} must be an autoregressive run")
    return model


@torch.no_grad()
def judge_rate(judge: Autoregressive, tokens: Int64[Tensor, "B L"], tokenizer: Tokenizer) -> Rate:
    """Return generative perplexity as BPC: −log p(samples) under the judge, per character.

    The characters are those of the decoded samples.
    """
    characters = torch.from_numpy(tokenizer.characters(tokens.cpu().numpy()))
    tokens = tokens.to(next(judge.parameters()).device)
    return bits_per_character(-judge.log_prob(tokens).cpu(), characters)


def summary(rewards: Float64[Tensor, "N"]) -> dict[str, float | None]:
    """Return mean, standard deviation, and error of the mean; a single text has none."""
    spread = float(rewards.std()) if len(rewards) > 1 else None
    error = None if spread is None else spread / len(rewards) ** 0.5
    return {"mean": float(rewards.mean()), "sd": spread, "se": error}


def variety(tokens: Int64[Tensor, "B L"]) -> dict[str, float]:
    """Return statistics of variety; low entropy or much repetition shows degenerate samples."""
    return {
        "entropy": entropy(tokens),
        "distinct_4": distinct(tokens, 4),
        "repetition": repetition(tokens, 4),
    }
