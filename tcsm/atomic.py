"""A file is written whole or not at all, in a folder that was tried before."""

import os
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile

from tcsm.errors import InputError


def require_folder(key: str, folder: Path) -> None:
    """Nothing, if files can be written in a folder, which need not exist yet.

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
