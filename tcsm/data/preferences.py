"""Preferences in a file: JSON lines {"prompt"?, "chosen", "rejected"}, all texts.

Each becomes a row [winner | loser]: the prompt before both, then the separator up to L tokens.
The prompt and this padding are not trained on: `prompts` and `lengths` give their ends.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64, Integer
from torch import Tensor

from tcsm.config.signatures import near
from tcsm.data.jsonl import Object, read_objects
from tcsm.data.tokenizers import Tokenizer
from tcsm.errors import InputError

SIDES = ("chosen", "rejected")
KEYS = ("prompt", *SIDES)


@dataclass(frozen=True)
class Preferences:
    """Pairs as tokens.

    Attributes:
        rows: [winner | loser].
        lengths: Tokens of the winner's and of the loser's text, with the prompt.
        prompts: Tokens of the prompt of each, None if there is none.
        cut: Number of texts that were longer.
    """

    rows: Int64[Tensor, "N M"]
    lengths: Int64[Tensor, "N 2"]
    prompts: Int64[Tensor, "N 2"] | None
    cut: int


def read_preferences(path: Path, tokenizer: Tokenizer, length: int) -> Preferences:
    """Return all pairs of a file; one invalid pair refuses the file.

    Args:
        path: The file.
        tokenizer: Tokenizer of the rows.
        length: Tokens of one text, L.

    Raises:
        InputError: The file, the line, and what is wrong there.
    """
    rows, lengths, prompts, cut = [], [], [], 0
    for where, pair in read_objects(path, "preferences", KEYS):
        try:
            _check(pair)
            prompt = tokenizer.encode("")
            if pair.get("prompt"):
                prompt = _encoded(pair["prompt"], tokenizer)
            texts = [np.concatenate([prompt, _encoded(pair[side], tokenizer)]) for side in SIDES]
            row = [_fitted(tokens, length, tokenizer.separator) for tokens in texts]
            if (row[0] == row[1]).all():
                raise InputError(f"both texts are the same in their first {length} tokens")
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
        rows.append(np.concatenate(row))
        lengths.append([min(len(tokens), length) for tokens in texts])
        prompts.append([len(prompt)] * 2)
        cut += sum(len(tokens) > length for tokens in texts)
    known = torch.tensor(prompts) if any(map(any, prompts)) else None
    return Preferences(torch.from_numpy(np.stack(rows)), torch.tensor(lengths), known, cut)


def _encoded(text: str, tokenizer: Tokenizer) -> Integer[np.ndarray, "n"]:
    try:
        tokens = tokenizer.encode(text)
    except InputError as error:
        raise InputError(
            f"{error}; write the text in its symbols, or set tokenizer=bytes"
        ) from None
    if not len(tokens):
        raise InputError(f"{text!r:.60} has no token of {tokenizer.name}")
    return tokens


def _check(pair: Object) -> None:
    for key in pair:
        if key not in KEYS:
            raise InputError(f"{key!r} is no key of a pair; {near(key, KEYS)}")
    for key in KEYS:
        text = pair.get(key, "" if key == "prompt" else None)
        if not isinstance(text, str) or (key in SIDES and not text.strip()):
            raise InputError(f"{key} must be a text, found {json.dumps(text):.60}")


def _fitted(tokens: np.ndarray, length: int, separator: int) -> np.ndarray:
    """Return L tokens: the text truncated, or padded with separators."""
    row = np.full(length, separator, dtype=np.int64)
    kept = tokens[:length]
    row[: len(kept)] = kept
    return row
