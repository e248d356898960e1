"""Text to token ids and back; a tokenizer is known by its name and the hash of its definition."""

import hashlib
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int, Integer, UInt

from tcsm.errors import InputError

_PIECE = re.compile(r".{4096}.*?\S(?=[ \n]\S)|.+", re.DOTALL)


class Tokenizer(ABC):
    """An exact map between texts and sequences of ids in [0, size).

    Attributes:
        name: what people call it.
        size: number of ids.
        separator: the id that stands between two documents.
        fingerprint: sha256 of what defines the map; a token file opens only under its own.
    """

    name: str
    size: int
    separator: int
    fingerprint: str

    @property
    def dtype(self) -> np.dtype[np.unsignedinteger]:
        """The smallest little-endian unsigned type that holds every id."""
        return np.min_scalar_type(self.size - 1).newbyteorder("<")

    @abstractmethod
    def encode(self, text: str) -> UInt[np.ndarray, "n"]:
        """The ids of a text."""

    @abstractmethod
    def decode(self, tokens: Integer[np.ndarray, "n"]) -> str:
        """The text of some ids."""

    def characters(self, tokens: Integer[np.ndarray, "B L"]) -> Int[np.ndarray, "B"]:
        """Characters that each row stands for, the divisor of bits per character.

        One per token here: letters are characters, and bytes are what "bits per character" counts
        on enwik8.
        """
        return np.full(len(tokens), tokens.shape[1], dtype=np.int64)


class Letters(Tokenizer):
    """The 27 symbols of text8: the space is 0, "a" to "z" are 1 to 26."""

    alphabet = " abcdefghijklmnopqrstuvwxyz"
    name = "letters"
    size = len(alphabet)
    separator = 0
    fingerprint = hashlib.sha256(alphabet.encode()).hexdigest()

    def __init__(self) -> None:
        self._symbols = np.frombuffer(self.alphabet.encode(), dtype=np.uint8)
        self._ids = np.full(256, self.size, dtype=np.uint8)
        self._ids[self._symbols] = np.arange(self.size)

    def encode(self, text: str) -> UInt[np.ndarray, "n"]:
        """The ids of a text in 27 symbols.

        Raises:
            InputError: at the first other symbol.
        """
        tokens = self._ids[np.frombuffer(text.encode("ascii", "replace"), dtype=np.uint8)]
        if tokens.size and tokens.max() == self.size:
            at = int(tokens.argmax())
            raise InputError(
                f"the tokenizer 'letters' has no symbol {text[at]!r}, found at character {at}, "
                "only a to z and the space"
            )
        return tokens

    def decode(self, tokens: Integer[np.ndarray, "n"]) -> str:
        """The text of some ids."""
        symbols: bytes = self._symbols[tokens].tobytes()
        return symbols.decode()


class Bytes(Tokenizer):
    """The 256 bytes of UTF-8; documents are separated by a line feed."""

    name = "bytes"
    size = 256
    separator = ord("\n")
    fingerprint = hashlib.sha256(bytes(range(256))).hexdigest()

    def encode(self, text: str) -> UInt[np.ndarray, "n"]:
        """The UTF-8 bytes of a text."""
        return np.frombuffer(text.encode(), dtype=np.uint8)

    def decode(self, tokens: Integer[np.ndarray, "n"]) -> str:
        """The text of some bytes, with U+FFFD where they are no UTF-8."""
        content: bytes = tokens.astype(np.uint8).tobytes()
        return content.decode(errors="replace")


class HuggingFace(Tokenizer):
    """A tokenizer of the transformers package, from a folder or from the hub.

    Args:
        path: a folder of tokenizer files or an id such as "openai-community/gpt2".
        size: the number of ids it must have; some versions of transformers load an empty
            tokenizer without a word.
        revision: the commit on the hub.
    """

    def __init__(self, path: str | Path, size: int, revision: str = "main") -> None:
        self.name = Path(path).name
        self.size = size
        self._inner = _load(str(path), revision)
        if len(self._inner) != size or not self._inner("a b")["input_ids"]:
            raise InputError(
                f"{path}: a tokenizer of {len(self._inner)} ids, but tokenizer.size is {size}; "
                "are the vocabulary and merges files all there?"
            )
        self.separator = _separator(self._inner, path)
        model = json.loads(self._inner.backend_tokenizer.to_str())["model"]
        definition = [sorted(self._inner.get_vocab().items()), model.get("merges")]
        self.fingerprint = hashlib.sha256(json.dumps(definition).encode()).hexdigest()

    def encode(self, text: str) -> UInt[np.ndarray, "n"]:
        """The ids of a text, without those that only frame it."""
        pieces = [np.asarray(ids, dtype=self.dtype) for ids in self._encoded(text)]
        return np.concatenate([np.empty(0, dtype=self.dtype), *pieces])

    def decode(self, tokens: Integer[np.ndarray, "n"]) -> str:
        """The text of some ids."""
        return str(self._inner.decode(tokens.tolist(), clean_up_tokenization_spaces=False))

    def characters(self, tokens: Integer[np.ndarray, "B L"]) -> Int[np.ndarray, "B"]:
        """Characters of each row's text; separators count for none."""
        texts = self._inner.batch_decode(
            tokens.tolist(), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return np.array([len(text) for text in texts], dtype=np.int64)

    def _encoded(self, text: str) -> Iterator[list[int]]:
        """Ids piece by piece: the time of a long text grows faster than its length.

        Cutting before a lone space or line feed leaves the merges of GPT-2 as they were.
        """
        for piece in _PIECE.finditer(text):
            yield self._inner(piece.group(), add_special_tokens=False, verbose=False)["input_ids"]


def _load(path: str, revision: str) -> Any:  # noqa: ANN401  transformers is not typed
    from transformers import AutoTokenizer, GPT2Tokenizer  # noqa: PLC0415  slow to import

    # GPT-2's two bare files do not say what they are, and AutoTokenizer refuses to guess.
    there = {file.name for file in Path(path).glob("*.*")}
    bare = "merges.txt" in there and not there & {"config.json", "tokenizer.json"}
    family = GPT2Tokenizer if bare else AutoTokenizer
    try:
        return family.from_pretrained(path, revision=revision, trust_remote_code=False)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"{path}: no tokenizer can be loaded from here: {reason}") from error


def _separator(inner: Any, path: str | Path) -> int:  # noqa: ANN401
    for token in (inner.eos_token_id, inner.sep_token_id):
        if token is not None:
            return int(token)
    raise InputError(f"{path}: the tokenizer has no end-of-text token to put between documents")
