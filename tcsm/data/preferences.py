"""Preferences in a file: JSON lines {"prompt"?, "chosen", "rejected"}, all texts.

Each becomes a row [winner | loser]: the prompt before both, then the separator up to L tokens.
This padding is no text: the lengths give its beginning.
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
        lengths: Tokens of the winner's and of the loser's text.
        cut: Number of texts that were longer.
    """

    rows: Int64[Tensor, "N M"]
    lengths: Int64[Tensor, "N 2"]
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
    rows, lengths, cut = [], [], 0
    for where, pair in read_objects(path, "preferences", KEYS):
        try:
            texts = [_encoded(text, tokenizer) for text in _texts(pair)]
            row = [_fitted(tokens, length, tokenizer.separator) for tokens in texts]
            if (row[0] == row[1]).all():
                raise InputError(f"both texts are the same in their first {length} tokens")
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
        rows.append(np.concatenate(row))
        lengths.append([min(len(tokens), length) for tokens in texts])
        cut += sum(len(tokens) > length for tokens in texts)
    return Preferences(torch.from_numpy(np.stack(rows)), torch.tensor(lengths), cut)


def _texts(pair: Object) -> list[str]:
    """Return the better and the worse text, each after the prompt."""
    _check(pair)
    return [pair.get("prompt", "") + pair[side] for side in SIDES]


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
