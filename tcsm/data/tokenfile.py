"""Token files: a header and the raw ids of one split. Equal input gives equal bytes.

    header | ids as uint8, uint16 or uint32 | characters of each token as uint16, if not one each

All numbers are little-endian.
"""

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, BinaryIO

import numpy as np
from jaxtyping import UInt, UInt16

from tcsm.data.header import PAGE, Header, elsewhere, read_header
from tcsm.data.tokenizers import Tokenizer
from tcsm.errors import InputError

_BLOCK = 2**20  # bytes read at once


@dataclass(frozen=True)
class Piece:
    """Some tokens, and the number of characters that they stand for.

    Attributes:
        tokens: The ids.
        characters: Number of characters of all tokens.
        lengths: Characters of each token, for a file that keeps them.
    """

    tokens: UInt[np.ndarray, "n"]
    characters: int
    lengths: UInt16[np.ndarray, "n"] | None = None


@dataclass(frozen=True)
class TokenFile:
    """An open token file.

    Attributes:
        path: Path of the file.
        header: Its header.
        tokens: The ids, memory-mapped.
    """

    path: Path
    header: Header
    tokens: UInt[np.ndarray, "n"]

    def lengths(self) -> UInt16[np.ndarray, "n"] | None:
        """Return the characters of each token, memory-mapped; None if the file has none.

        Raises:
            InputError: They are damaged.
        """
        header = self.header
        if not header.lengths:
            return None
        if _checksum(self.path, header.end, header.size) != header.lengths_sha256:
            raise InputError(f"{self.path}: damaged, lengths_sha256 is wrong; run prepare again")
        return _mapped(self.path, header.lengths, header.end, header.count)


def describe(tokenizer: Tokenizer, corpus: str, split: str) -> Header:
    """Return the header of a file without tokens."""
    dtype = tokenizer.dtype.str
    return Header(tokenizer.name, tokenizer.fingerprint, tokenizer.size, dtype, corpus, split)


def write_tokens(
    path: Path, pieces: Iterable[Piece], header: Header, key: str = "data.root"
) -> Header:
    """Write pieces one by one, atomically; return the completed header.

    Args:
        path: Path of the file.
        pieces: The tokens.
        header: The header before the tokens are counted.
        key: Key of the configuration that holds the folder.

    Raises:
        InputError: The disk is full or the folder cannot be written.
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
        wanted = part.stat().st_size if part.exists() else PAGE
        raise InputError(
            f"{path}: no space left on the device, more than {wanted} bytes are needed; "
            f"make room, or set {key} to another one"
        ) from error
    finally:
        with suppress(OSError):
            part.unlink()
    return header


def _stream(file: BinaryIO, pieces: Iterable[Piece], header: Header) -> Header:
    file.write(bytes(header.offset))
    ids, lengths, count, characters = hashlib.sha256(), hashlib.sha256(), 0, 0
    with tempfile.TemporaryFile(dir=Path(file.name).parent) as waiting:
        for piece in pieces:
            if piece.tokens.size and piece.tokens.max() >= header.vocabulary:
                raise InputError(
                    f"corpus {header.corpus}: token {piece.tokens.max()} is outside the "
                    f"{header.vocabulary} of the tokenizer {header.tokenizer!r}"
                )
            _put(file, piece.tokens.astype(header.dtype), ids)
            if header.lengths:
                assert piece.lengths is not None
                _put(waiting, piece.lengths.astype(header.lengths), lengths)
            count += piece.tokens.size
            characters += piece.characters
        waiting.seek(0)
        shutil.copyfileobj(waiting, file, _BLOCK)
    if not count:
        raise InputError(f"corpus {header.corpus}: no text in the split {header.split!r}")
    second = lengths.hexdigest() if header.lengths else ""
    complete = replace(header, count=count, characters=characters, sha256=ids.hexdigest())
    complete = replace(complete, lengths_sha256=second)
    file.seek(0)
    file.write(complete.pack())
    return complete


def _put(file: IO[bytes], numbers: UInt[np.ndarray, "n"], digest: "hashlib._Hash") -> None:
    """Write numbers and add them to a checksum."""
    content = numbers.tobytes()
    digest.update(content)
    file.write(content)


def open_tokens(path: Path, tokenizer: Tokenizer, maker: str = "prepare") -> TokenFile:
    """Open a token file after verifying its checksum, which covers every id.

    Every start verifies it: a bit that flips on the disk leaves size and time unchanged.

    Args:
        path: The file.
        tokenizer: Tokenizer of its ids.
        maker: The stage that writes such files, for messages.

    Raises:
        InputError: No token file; a truncated or damaged one; one of another tokenizer.
    """
    header = read_header(path, maker)
    size = path.stat().st_size
    if size != header.size:
        raise InputError(f"{path}: {size} bytes, wanted {header.size}; run {maker} again")
    kind = " of another definition" if header.tokenizer == tokenizer.name else ""
    if (header.tokenizer, header.fingerprint) != (tokenizer.name, tokenizer.fingerprint):
        raise InputError(
            f"{path}: written by the tokenizer {header.tokenizer!r}{kind} "
            f"({header.fingerprint[:12]}), wanted {tokenizer.name!r} "
            f"({tokenizer.fingerprint[:12]}); run {maker} again{elsewhere(maker)}"
        )
    if _checksum(path, header.offset, header.end) != header.sha256:
        raise InputError(f"{path}: damaged, its sha256 is wrong; run {maker} again")
    return TokenFile(path, header, _mapped(path, header.dtype, header.offset, header.count))


def _checksum(path: Path, start: int, end: int) -> str:
    """Return the sha256 of a part of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        file.seek(start)
        for first in range(start, end, _BLOCK):
            digest.update(file.read(min(_BLOCK, end - first)))
    return digest.hexdigest()


def _mapped(path: Path, kind: str, start: int, count: int) -> UInt[np.ndarray, "n"]:
    """Return numbers of a file, memory-mapped."""
    return np.memmap(path, kind, mode="r", offset=start, shape=(count,))
