"""Tokenizers: text to token ids and back, identified by name and hash of the definition."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int, Integer, UInt, UInt16

from tcsm.data.pipeline import closing_id, cuts, definition, lengths, of_text, unknown_id
from tcsm.errors import InputError
from tcsm.huggingface import from_pretrained, one_line

_CONTENT = "\ue000"  # stands for a prompt while its template is rendered
_FILES = "are the vocabulary and merges files all there?"


class Tokenizer(ABC):
    """An exact map between texts and sequences of ids in [0, size).

    Attributes:
        name: Common name.
        size: Number of ids.
        separator: The id between two documents.
        fingerprint: sha256 of all that decides an id; a token file opens only under its own.
        measures: Whether `measured` counts the characters of each token.
        unknown: The id of unknown text, if there is one.
        advice: What to set for a text that it cannot represent, "" if nothing helps.
    """

    name: str
    size: int
    separator: int
    fingerprint: str
    measures: bool = False
    unknown: int | None = None
    advice: str = ""

    @property
    def dtype(self) -> np.dtype[np.unsignedinteger]:
        """Return the smallest little-endian unsigned type that holds every id."""
        return np.min_scalar_type(self.size - 1).newbyteorder("<")

    @abstractmethod
    def encode(self, text: str) -> UInt[np.ndarray, "n"]:
        """Return the ids of a text."""

    def measured(self, text: str) -> tuple[UInt[np.ndarray, "n"], UInt16[np.ndarray, "n"] | None]:
        """Return the ids of a text and, if `measures`, the number of characters of each."""
        return self.encode(text), None

    def prompt(self, text: str, chat: bool = False) -> UInt[np.ndarray, "n"]:
        """Return the ids of a prompt, in the chat template of the tokenizer if it is a chat.

        Raises:
            InputError: There is no template.
        """
        if chat:
            raise InputError(f"chat: the tokenizer {self.name!r} has no chat template; set false")
        return self.encode(text)

    @abstractmethod
    def decode(self, tokens: Integer[np.ndarray, "n"]) -> str:
        """Return the text of ids."""

    def characters(self, tokens: Integer[np.ndarray, "B L"]) -> Int[np.ndarray, "B"]:
        """Return the characters that each row stands for, the divisor of bits per character.

        One per token here: letters are characters, and bytes are the unit of "bits per character"
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
    advice = "set corpus.normalize.path=tcsm.data.normalize.text8, or tokenizer=bytes"

    def __init__(self) -> None:
        self._symbols = np.frombuffer(self.alphabet.encode(), dtype=np.uint8)
        self._ids = np.full(256, self.size, dtype=np.uint8)
        self._ids[self._symbols] = np.arange(self.size)

    def encode(self, text: str) -> UInt[np.ndarray, "n"]:
        """Return the ids of a text in 27 symbols.

        Raises:
            InputError: At the first other symbol.
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
        """Return the text of ids."""
        symbols: bytes = self._symbols[tokens].tobytes()
        return symbols.decode()


class Bytes(Tokenizer):
    """The 256 bytes of UTF-8; documents are separated by a line feed."""

    name = "bytes"
    size = 256
    separator = ord("\n")
    fingerprint = hashlib.sha256(bytes(range(256))).hexdigest()

    def encode(self, text: str) -> UInt[np.ndarray, "n"]:
        """Return the UTF-8 bytes of a text.

        Raises:
            InputError: At a lone surrogate, which has no UTF-8.
        """
        try:
            return np.frombuffer(text.encode(), dtype=np.uint8)
        except UnicodeEncodeError as error:
            raise InputError(
                f"the tokenizer 'bytes' has no bytes for {text[error.start]!r}, a lone surrogate "
                f"found at character {error.start}"
            ) from None

    def decode(self, tokens: Integer[np.ndarray, "n"]) -> str:
        """Return the text of bytes, with U+FFFD where they are not UTF-8."""
        content: bytes = tokens.astype(np.uint8).tobytes()
        return content.decode(errors="replace")


class HuggingFace(Tokenizer):
    """A tokenizer of the transformers package, from a folder or from the hub.

    Special tokens that occur in a text, such as "<|endoftext|>" or "[MASK]", are tokenized as the
    characters that they consist of. So the tokenizer's own mask and padding are clean tokens that
    no text contains: they keep their ids, which a checkpoint relies on, and a model learns that
    they do not occur.

    Args:
        path: A folder of tokenizer files or an id such as "openai-community/gpt2".
        size: The number of ids that it must have; some versions of transformers load an empty
            tokenizer silently.
        revision: The commit on the hub.
    """

    measures = True

    def __init__(self, path: str | Path, size: int, revision: str = "main") -> None:
        self.name, self.size = Path(path).name, size
        self._inner = _load(str(path), revision)
        pipeline = _deterministic(self._inner.backend_tokenizer)
        ids = self._inner.get_vocab()
        self.separator = _separator(self._inner, pipeline, path)
        unknown = unknown_id(pipeline, ids)
        self.unknown = None if unknown == self.separator else unknown
        self.fingerprint = hashlib.sha256(definition(pipeline).encode()).hexdigest()
        self._encoder, self._cuts = (
            _encoder(self._inner.backend_tokenizer, pipeline),
            cuts(pipeline),
        )
        _require_size(path, ids, size)
        if not self.encode("a b").size:
            raise InputError(f"{path}: {_FILES}")

    def encode(self, text: str) -> UInt[np.ndarray, "n"]:
        """Return the ids of a text, without those that only frame it."""
        return self.measured(text)[0]

    def measured(self, text: str) -> tuple[UInt[np.ndarray, "n"], UInt16[np.ndarray, "n"]]:
        """Return the ids of a text, and the characters that each stands for.

        A long text is cut where that changes no id, to save memory; not at all if the tokenizer
        may look across any place.

        Raises:
            InputError: The tokenizer cannot represent the text.
        """
        ids, ends, start = [np.empty(0, self.dtype)], [np.empty(0, np.int64)], 0
        self._encoder.encode_special_tokens = True  # pickling loses this setting
        with one_line(f"the tokenizer {self.name!r}"):
            for piece in self._pieces(text):
                encoding = self._encoder.encode(piece, add_special_tokens=False)
                ids.append(np.asarray(encoding.ids, dtype=self.dtype))
                last = (end for _, end in encoding.offsets)
                ends.append(start + np.fromiter(last, np.int64, len(encoding.ids)))
                start += len(piece)
        return np.concatenate(ids), lengths(np.concatenate(ends), len(text))

    def prompt(self, text: str, chat: bool = False) -> UInt[np.ndarray, "n"]:
        """Return the ids of a prompt; those of the template's own special tokens alone are such.

        Raises:
            InputError: There is no template, or one that alters the prompt.
        """
        if not chat or not self._inner.chat_template:
            return super().prompt(text, chat)
        turn = [{"role": "user", "content": _CONTENT}]
        with one_line(f"chat: the template of the tokenizer {self.name!r}"):
            frame = self._inner.apply_chat_template(
                turn, tokenize=False, add_generation_prompt=True
            )
        parts = str(frame).split(_CONTENT)
        if len(parts) != 2:
            raise InputError(f"chat: the template of {self.name!r} holds no prompt, or several")
        frames = [
            np.array(self._inner.encode(part, add_special_tokens=False), self.dtype)
            for part in parts
        ]
        return np.concatenate([frames[0], self.encode(text), frames[1]])

    def decode(self, tokens: Integer[np.ndarray, "n"]) -> str:
        """Return the text of ids."""
        return str(self._inner.decode(tokens.tolist(), clean_up_tokenization_spaces=False))

    def characters(self, tokens: Integer[np.ndarray, "B L"]) -> Int[np.ndarray, "B"]:
        """Return the characters of each row's decoded text; separators count for none.

        It is used for samples of a model. Decoding adds or drops blanks at the edges of a row and
        around words with some tokenizers, and shows part of a character as one or more characters:
        for tokens of a text, `measured` counts exactly.
        """
        texts = self._inner.batch_decode(
            tokens.tolist(), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return np.array([len(text) for text in texts], dtype=np.int64)

    def save(self, folder: Path) -> None:
        """Write the tokenizer's files into a folder, from which it is loaded equal.

        Raises:
            InputError: What is loaded from there is another one.
        """
        self._inner.save_pretrained(folder)
        if type(self)(folder, self.size).fingerprint != self.fingerprint:
            raise InputError(f"{folder}: the tokenizer {self.name!r} changes when it is saved")

    def _pieces(self, text: str) -> Iterable[str]:
        if self._cuts is None:
            return (text,)
        return (piece.group() for piece in self._cuts.finditer(text))


def _load(path: str, revision: str) -> Any:  # noqa: ANN401  transformers is not typed
    from transformers import AutoTokenizer, GPT2Tokenizer  # noqa: PLC0415  slow to import

    # AutoTokenizer cannot recognize the two files of GPT-2 without a configuration.
    there = {file.name for file in Path(path).expanduser().glob("*.*")}
    bare = "merges.txt" in there and not there & {"config.json", "tokenizer.json"}
    family = GPT2Tokenizer if bare else AutoTokenizer
    place = f"tokenizer.path: {path}: no tokenizer can be loaded from here"
    inner = from_pretrained(family, place, path, revision)
    if not getattr(inner, "is_fast", False):
        raise InputError(
            f"tokenizer.path: {path}: {type(inner).__name__} is written in Python alone; wanted "
            "one with a tokenizer.json (for ByT5, set tokenizer=bytes)"
        )
    return inner


def _deterministic(backend: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return a pipeline without its random, truncating and padding parts."""
    backend.no_truncation()
    backend.no_padding()
    if getattr(backend.model, "dropout", None) is not None:
        backend.model.dropout = None
    return dict(json.loads(backend.to_str()))


def _encoder(backend: Any, pipeline: dict[str, Any]) -> Any:  # noqa: ANN401
    """Return an encoder of texts: the backend, or a copy in which texts have no special tokens."""
    from tokenizers import Tokenizer as Backend  # noqa: PLC0415  comes with transformers

    safe = of_text(pipeline)
    return backend if safe is pipeline else Backend.from_str(json.dumps(safe))


def _require_size(path: str | Path, ids: Mapping[str, int], size: int) -> None:
    """Check the ids of a vocabulary, unused ones among them, against the configured size.

    Raises:
        InputError: There are more or fewer.
    """
    count = max(ids.values(), default=-1) + 1
    if count != size:
        unused = count - len(set(ids.values()))
        holes = f" ({unused} of them unused)" if unused else ""
        raise InputError(
            f"tokenizer.path: {path}: a tokenizer of {count} ids{holes}, but tokenizer.size is "
            f"{size}; {_FILES} If they are, set vocabulary={count}"
        )


def _separator(inner: Any, pipeline: Mapping[str, Any], path: str | Path) -> int:  # noqa: ANN401
    for token in (inner.eos_token_id, inner.sep_token_id, closing_id(pipeline)):
        if token is not None:
            return int(token)
    raise InputError(
        f"tokenizer.path: {path}: no end-of-text token to put between documents; name one as "
        "eos_token in its tokenizer_config.json"
    )
