"""Files compressed by gzip or zstandard, read as if they were not."""

import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from tcsm.errors import InputError

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"  # first bytes, whatever the file's name
_ENDINGS = (".gz", ".zst")


@contextmanager
def unpacked(path: Path) -> Iterator[BinaryIO]:
    """Open the content of a file.

    Raises:
        InputError: A zstandard file without the package for it.
        OSError: The content cannot be read; also EOFError and zlib.error.
    """
    with path.open("rb") as file:
        head = file.peek(len(_ZSTD))
        if path.suffix == ".gz" or head.startswith(_GZIP):
            with gzip.GzipFile(fileobj=file) as content:
                yield cast(BinaryIO, content)
        elif path.suffix == ".zst" or head.startswith(_ZSTD):
            yield cast(BinaryIO, io.BufferedReader(_Zstandard(path, file)))
        else:
            yield file


class _Zstandard(io.RawIOBase):
    """The content of a zstandard file, frame by frame; EOFError where the last one is cut."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        try:
            import zstandard  # noqa: PLC0415  an extra of the package
        except ImportError as error:
            raise InputError(f"{path}: a .zst file needs: pip install -e '.[tables]'") from error
        self._library: Any = zstandard
        self._parts, self._left = self._decompressed(file), b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401  a buffer
        while not self._left and (part := next(self._parts, None)) is not None:
            self._left = part
        count = min(len(buffer), len(self._left))
        buffer[:count], self._left = self._left[:count], self._left[count:]
        return count

    def _decompressed(self, file: BinaryIO) -> Iterator[bytes]:
        decoder: Any = None
        while chunk := file.read(2**17):
            while chunk:
                decoder = decoder or self._library.ZstdDecompressor().decompressobj()
                try:
                    yield decoder.decompress(chunk)
                except self._library.ZstdError as error:
                    raise OSError(str(error)) from error
                chunk = decoder.unused_data if decoder.eof else b""
                decoder = None if decoder.eof else decoder
        if decoder is not None:
            raise EOFError("the file is cut off")


def inner_suffix(path: Path) -> str:
    """Return the ending of a file's name in lower case, without that of its compression."""
    suffix = path.suffix.lower()
    return Path(path.stem).suffix.lower() if suffix in _ENDINGS else suffix
