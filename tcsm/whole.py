"""A file is written whole or not at all."""

import os
from contextlib import suppress
from pathlib import Path

from tcsm.errors import InputError


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file at once: it is the old one or the new one, never a half.

    Raises:
        InputError: the disk is full or may not be written; the former file is untouched.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise InputError(f"{path}: cannot be written: {error.strerror}; make room") from error
