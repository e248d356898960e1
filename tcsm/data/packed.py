"""Files compressed by gzip or zstandard, read as if they were not."""

import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from tcsm.errors import InputError

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"  # first bytes, whatever the file's name
ENDINGS = (".gz", ".zst")


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
            with _zstandard(path, file) as content:
                yield content
        else:
            yield file


@contextmanager
def _zstandard(path: Path, file: BinaryIO) -> Iterator[BinaryIO]:
    try:
        from zstandard import ZstdDecompressor, ZstdError  # noqa: PLC0415  an extra
    except ImportError as error:
        raise InputError(f"{path}: a .zst file needs: pip install -e '.[tables]'") from error
    try:
        reader = ZstdDecompressor().stream_reader(file, read_across_frames=True)
        yield cast(BinaryIO, io.BufferedReader(reader))
    except ZstdError as error:
        raise OSError(str(error)) from error


def inner_suffix(path: Path) -> str:
    """Return the ending of a file's name in lower case, without that of its compression."""
    suffix = path.suffix.lower()
    return Path(path.stem).suffix.lower() if suffix in ENDINGS else suffix
