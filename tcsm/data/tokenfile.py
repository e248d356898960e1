"""Token files: a header and the raw ids of one split. Equal input gives equal bytes.

    header | ids as uint8, uint16 or uint32 | characters of each token as uint16, if not one each
           | role of each token as uint8, if not all are text

All numbers are little-endian.
"""

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
from jaxtyping import UInt, UInt8, UInt16

from tcsm.data.header import COLUMNS, PAGE, Header, elsewhere, read_header
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
        roles: Role of each token, for a file of examples.
    """

    tokens: UInt[np.ndarray, "n"]
    characters: int
    lengths: UInt16[np.ndarray, "n"] | None = None
    roles: UInt8[np.ndarray, "n"] | None = None


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
        return self._column("lengths")

    def roles(self) -> UInt8[np.ndarray, "n"] | None:
        """Return the role of each token, memory-mapped; None if all are text.

        Raises:
            InputError: They are damaged.
        """
        return self._column("roles")

    def _column(self, name: str) -> UInt[np.ndarray, "n"] | None:
        if name not in self.header.columns:
            return None
        digest = f"{name}_sha256"
        column, actual = _column(self.path, self.header, name)
        if actual != getattr(self.header, digest):
            raise InputError(f"{self.path}: damaged, {digest} is wrong; run prepare again")
        return column


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
    digests = {name: hashlib.sha256() for name in header.columns}
    count = characters = 0
    with ExitStack() as stack:
        folder = Path(file.name).parent
        files: dict[str, IO[bytes]] = {
            name: stack.enter_context(tempfile.TemporaryFile(dir=folder))
            for name in digests.keys() - {"dtype"}
        }
        for piece in pieces:
            if piece.tokens.size and piece.tokens.max() >= header.vocabulary:
                raise InputError(
                    f"corpus {header.corpus}: token {piece.tokens.max()} is outside the "
                    f"{header.vocabulary} of the tokenizer {header.tokenizer!r}"
                )
            for name, digest in digests.items():
                numbers = piece.tokens if name == "dtype" else getattr(piece, name)
                content = numbers.astype(getattr(header, name)).tobytes()
                digest.update(content)
                files.get(name, file).write(content)
            count += piece.tokens.size
            characters += piece.characters
        for name in [name for name in COLUMNS if name in files]:
            files[name].seek(0)
            shutil.copyfileobj(files[name], file, _BLOCK)
    if not count:
        raise InputError(f"corpus {header.corpus}: no text in the split {header.split!r}")
    sums: dict[str, Any] = {f"{name}_sha256": d.hexdigest() for name, d in digests.items()}
    ids = sums.pop("dtype_sha256")
    complete = replace(header, count=count, characters=characters, sha256=ids, **sums)
    file.seek(0)
    file.write(complete.pack())
    return complete


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
    tokens, actual = _column(path, header, "dtype")
    if actual != header.sha256:
        raise InputError(f"{path}: damaged, its sha256 is wrong; run {maker} again")
    return TokenFile(path, header, tokens)


def _column(path: Path, header: Header, name: str) -> tuple[UInt[np.ndarray, "n"], str]:
    """Return numbers of each token, memory-mapped, and the sha256 of their bytes."""
    kind, start = header.columns[name]
    left, digest = header.count * np.dtype(kind).itemsize, hashlib.sha256()
    with path.open("rb") as file:
        file.seek(start)
        while left > 0 and (content := file.read(min(_BLOCK, left))):
            digest.update(content)
            left -= len(content)
    return np.memmap(path, kind, "r", start, (header.count,)), digest.hexdigest()
