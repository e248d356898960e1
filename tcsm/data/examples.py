"""Examples: a prompt and a response, of which the response alone is trained on.

    prompt | response | separator | padding up to L tokens

A token file keeps a role of each token. The prompt, and the padding unless `Example.padded`, are
left out of corruption and loss; the separator is the end of the response and belongs to it.
"""

import sys
import zlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Int, UInt, UInt16

from tcsm.data.batches import Batch, Rows, WindowBatches, evaluation_windows, part, permuted
from tcsm.data.tokenfile import Piece, TokenFile
from tcsm.data.tokenizers import Tokenizer
from tcsm.errors import InputError
from tcsm.noise import fold

_ORDER = zlib.crc32(b"data.examples")
START, TEXT, PADDED = 1, 2, 4  # bits of a role


@dataclass(frozen=True)
class Example:
    """A prompt with its response.

    Attributes:
        prompt: The prompt, "" for none.
        response: The response.
        padded: Whether padding is trained on too, so that a model learns where responses end.
        chat: Whether the prompt is put into the chat template of the tokenizer.
    """

    prompt: str
    response: str
    padded: bool = False
    chat: bool = False

    def __len__(self) -> int:
        return len(self.prompt) + len(self.response)

    def piece(self, tokenizer: Tokenizer) -> Piece:
        """Return tokens, characters and roles; both texts are tokenized by themselves."""
        prompt = tokenizer.prompt(self.prompt, self.chat)
        tokens, lengths = tokenizer.measured(self.response)
        end = np.array([tokenizer.separator], tokenizer.dtype)
        ids = np.concatenate([prompt, tokens, end])
        roles = np.full(len(ids), TEXT, np.uint8)
        roles[: len(prompt)] = 0
        roles[0] |= START
        roles[-1] |= PADDED * self.padded
        if lengths is not None:
            lengths = np.pad(lengths, (len(prompt), 1))
        return Piece(ids, len(self.response), lengths, roles)


Document = str | Example


class Examples:
    """The examples of a token file as rows of L tokens; longer ones are cut.

    Args:
        file: The token file.
        length: Tokens of a row, L.
        separator: The id of padding.

    Attributes:
        cut: Number of examples that are longer.
        empty: Number of examples left out, whose prompts fill the row.

    Raises:
        InputError: No example has a response within L tokens.
    """

    def __init__(self, file: TokenFile, length: int, separator: int) -> None:
        roles = file.roles()
        assert roles is not None
        self._file, self._roles, self._separator, self._length = file, roles, separator, length
        starts = np.flatnonzero(roles & START)
        ends = np.append(starts[1:], len(roles))
        prompts = np.add.reduceat(roles & TEXT == 0, starts, dtype=np.int64)
        kept = prompts < length
        self.cut, self.empty = int((ends - starts > length).sum()), int((~kept).sum())
        if not kept.any():
            raise InputError(
                f"data.length: {length} tokens are filled by the prompts of all {len(starts)} "
                f"examples of {file.path}, the shortest of {prompts.min()}; set a larger one"
            )
        self._starts, self._ends = starts[kept], ends[kept]

    def __len__(self) -> int:
        return len(self._starts)

    def rows(self, index: Int[np.ndarray, "B"]) -> Rows:
        """Return some examples, padded with separators."""
        starts, ends = self._starts[index, None], self._ends[index, None]
        place = starts + np.arange(self._length)
        within, place = place < ends, np.minimum(place, ends - 1)
        tokens = np.where(within, self._file.tokens[place], self._separator).astype(np.int64)
        text = np.where(within, self._roles[place] & TEXT, self._roles[ends - 1] & PADDED) > 0
        lengths = self._lengths
        sizes = np.ones_like(tokens) if lengths is None else lengths[place].astype(np.int64)
        characters = (sizes * (text & within)).sum(1)
        return Rows(*map(torch.from_numpy, (tokens, characters, text)))

    @cached_property
    def _lengths(self) -> UInt16[np.ndarray, "n"] | None:
        return self._file.lengths()

    def report(self) -> None:
        """Print on stderr how many examples do not fit into their rows."""
        if self.cut:
            print(
                f"tcsm: {self._file.path}: {self.cut} of {len(self) + self.empty} examples are "
                f"longer than data.length = {self._length} and are cut, of them {self.empty} "
                "left out, whose prompts fill it",
                file=sys.stderr,
            )


@dataclass(frozen=True)
class ExampleBatches:
    """Batches of examples, each once in a new random order every epoch.

    Attributes:
        examples: The examples.
        length: Tokens of a row.
        batch: Rows of a step's global batch.
        seed: Seed of the order.
        first: As in `WindowBatches`.
    """

    examples: Examples
    length: int
    batch: int
    seed: int
    first: int = 0

    def at(
        self, step: int, rank: int = 0, world: int = 1, micro: int = 0, micros: int = 1
    ) -> Batch:
        """Return the rows of a step for one rank and one micro-batch."""
        ids, count = part(self.batch, rank, world, micro, micros), len(self.examples)
        draw = self.first + step * self.batch + ids
        key = fold(self.seed, _ORDER, draw // count)
        rows = self.examples.rows(permuted(draw % count, count, key).numpy())
        return Batch(rows.tokens, torch.ones(len(ids)), step, ids, self.batch, rows.real)


def training_batches(
    file: TokenFile, length: int, batch: int, seed: int, separator: int
) -> WindowBatches | ExampleBatches:
    """Return batches of a token file: of examples if it holds some, else of windows.

    Raises:
        InputError: It is too short, or no example fits.
    """
    if not file.header.roles:
        return WindowBatches(file.tokens, length, batch, seed)
    examples = Examples(file, length, separator)
    examples.report()
    return ExampleBatches(examples, length, batch, seed)


def going_on(batches: Any, step: int, sequences: int | None) -> Any:  # noqa: ANN401 -- any batches
    """Return batches of which a step reads what comes after so many sequences in the order.

    So a training that continues with another batch reads every sequence of an epoch once. Batches
    without an order, drawn anew every step, are returned as they are.
    """
    if sequences is None or not isinstance(batches, WindowBatches | ExampleBatches):
        return batches
    return replace(batches, first=sequences - step * batches.batch)


def held_out(file: TokenFile, length: int, count: int, tokenizer: Tokenizer, key: str) -> Rows:
    """Return evenly spaced windows or examples of a split.

    Raises:
        InputError: There are fewer than the value of a key.
    """
    if not file.header.roles:
        return windows(file.tokens, file.lengths(), length, count, tokenizer, key)
    examples = Examples(file, length, tokenizer.separator)
    if not 1 <= count <= len(examples):
        raise InputError(f"{key} = {count}: {file.path} holds {len(examples)} examples")
    return examples.rows(np.arange(count) * len(examples) // count)


def windows(
    tokens: UInt[np.ndarray, "n"],
    lengths: UInt16[np.ndarray, "n"] | None,
    length: int,
    count: int,
    tokenizer: Tokenizer,
    key: str = "evaluation.sequences",
) -> Rows:
    """Return evenly spaced windows of tokens that may have lengths in characters.

    Raises:
        InputError: There are fewer than the value of a key.
    """
    windows = evaluation_windows(tokens, length, count, key)
    if lengths is None:
        return Rows(windows, torch.from_numpy(tokenizer.characters(windows.numpy())))
    return Rows(windows, evaluation_windows(lengths, length, count, key).sum(1))
