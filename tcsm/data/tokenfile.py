"""Token files: a header and the raw ids of one split. Equal input gives equal bytes.

    b"TCSMTOK1" | uint32 length of the header | header as JSON | ids as uint8, uint16 or uint32

All numbers are little-endian. The header is padded with spaces to 4,096 bytes, so that it can be
written last and the ids begin on a page.
"""

import errno
import hashlib
import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from jaxtyping import UInt

from tcsm.data.tokenizers import Tokenizer
from tcsm.errors import InputError

MAGIC = b"TCSMTOK1"
_PAYLOAD = 4096
_PREFIX = len(MAGIC) + 4


@dataclass(frozen=True)
class Header:
    """What a token file says of itself.

    Attributes:
        tokenizer: name of the tokenizer.
        fingerprint: of the tokenizer.
        vocabulary: number of ids.
        dtype: of the ids, such as "<u2".
        corpus: title of the corpus.
        split: "train", "valid" or "test".
        count: number of tokens.
        characters: that they stand for.
        sha256: of the ids' bytes.
    """

    tokenizer: str
    fingerprint: str
    vocabulary: int
    dtype: str
    corpus: str
    split: str
    count: int = 0
    characters: int = 0
    sha256: str = ""

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        return _PAYLOAD + self.count * np.dtype(self.dtype).itemsize

    def pack(self) -> bytes:
        """The first 4,096 bytes of the file."""
        text = json.dumps(asdict(self), sort_keys=True).encode()
        return MAGIC + (_PAYLOAD - _PREFIX).to_bytes(4, "little") + text.ljust(_PAYLOAD - _PREFIX)


@dataclass(frozen=True)
class Piece:
    """A run of tokens and the number of characters that it stands for."""

    tokens: UInt[np.ndarray, "n"]
    characters: int


@dataclass(frozen=True)
class TokenFile:
    """An open token file: its header, and its tokens as they lie on the disk."""

    header: Header
    tokens: UInt[np.ndarray, "n"]


def describe(tokenizer: Tokenizer, corpus: str, split: str) -> Header:
    """The header of a file that has no tokens yet."""
    dtype = tokenizer.dtype.str
    return Header(tokenizer.name, tokenizer.fingerprint, tokenizer.size, dtype, corpus, split)


def write_tokens(path: Path, pieces: Iterable[Piece], header: Header) -> Header:
    """Writes pieces as they come, whole or not at all, and returns the completed header.

    Raises:
        InputError: if the disk is full or the folder cannot be written.
    """
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            header = _stream(file, pieces, header)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise InputError(f"{path}: cannot be written: {error.strerror or error}") from error
        wanted = part.stat().st_size if part.exists() else _PAYLOAD
        raise InputError(
            f"{path}: no space left on the device, more than {wanted} bytes are needed; "
            "make room, or set data.root to another one"
        ) from error
    finally:
        with suppress(OSError):
            part.unlink()
    return header


def _stream(file: BinaryIO, pieces: Iterable[Piece], header: Header) -> Header:
    file.write(bytes(_PAYLOAD))
    digest, count, characters = hashlib.sha256(), 0, 0
    for piece in pieces:
        if piece.tokens.size and piece.tokens.max() >= header.vocabulary:
            raise InputError(
                f"corpus {header.corpus}: token {piece.tokens.max()} is outside the "
                f"{header.vocabulary} of the tokenizer {header.tokenizer!r}"
            )
        content = piece.tokens.astype(header.dtype).tobytes()
        digest.update(content)
        file.write(content)
        count += piece.tokens.size
        characters += piece.characters
    if not count:
        raise InputError(f"corpus {header.corpus}: no text in the split {header.split!r}")
    complete = replace(header, count=count, characters=characters, sha256=digest.hexdigest())
    file.seek(0)
    file.write(complete.pack())
    return complete


def open_tokens(path: Path, tokenizer: Tokenizer, maker: str = "prepare") -> TokenFile:
    """Opens a token file after reading it once for its checksum, which covers every id.

    No start trusts an earlier one: a bit that flips on the disk leaves size and time as they were.

    Args:
        path: the file.
        tokenizer: whose ids it must hold.
        maker: the stage that writes such files, which a message advises to run.

    Raises:
        InputError: if it is no token file, truncated, damaged, or another tokenizer's.
    """
    header = read_header(path, maker)
    found = path.stat().st_size
    if found != header.size:
        raise InputError(f"{path}: {found} bytes, wanted {header.size}; run {maker} again")
    if (header.tokenizer, header.fingerprint) != (tokenizer.name, tokenizer.fingerprint):
        raise InputError(
            f"{path}: written by the tokenizer {header.tokenizer!r} "
            f"({header.fingerprint[:12]}), wanted {tokenizer.name!r} "
            f"({tokenizer.fingerprint[:12]}); run {maker} again"
        )
    with path.open("rb") as file:
        file.seek(_PAYLOAD)
        if hashlib.file_digest(file, "sha256").hexdigest() != header.sha256:
            raise InputError(f"{path}: damaged, its sha256 is wrong; run {maker} again")
    tokens = np.memmap(path, header.dtype, mode="r", offset=_PAYLOAD, shape=(header.count,))
    return TokenFile(header, tokens)


def read_header(path: Path, maker: str = "prepare") -> Header:
    """The header of a token file.

    Raises:
        InputError: if there is none.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_PAYLOAD)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}; run {maker}") from error
    try:
        header = Header(**json.loads(head[_PREFIX:]))
        if head != header.pack() or header.size < _PAYLOAD:
            raise ValueError
    except (ValueError, TypeError) as error:
        raise InputError(
            f"{path}: not a token file, or cut in its header; run {maker} again"
        ) from error
    return header
