"""Atomic writes: a file has its former content or all of the new one, never a part."""

import os
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile

from tcsm.errors import InputError


def require_folder(key: str, folder: Path) -> None:
    """Check that files can be written in a folder, which need not exist yet.

    Raises:
        InputError: it names the key, and what stands in the way.
    """
    try:
        place = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        with TemporaryFile(dir=place):
            return
    except NotADirectoryError:
        raise InputError(f"{key}: {place} is a file, wanted a folder to write in") from None
    except OSError as error:
        raise InputError(f"{key}: {folder} cannot be written ({error.strerror})") from None


def write_atomic(path: Path, content: bytes) -> None:
    """Replace the content of a file atomically.

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
        raise InputError(
            f"{path}: cannot be written: {error.strerror}; make room for {len(content)} bytes, or "
            "choose another folder"
        ) from error
