"""File locks: one process at a time writes in a folder, the others wait.

The operating system releases a lock when its process ends. So a killed process blocks no other,
and a process that a killed Snakemake left behind ends before another begins the same work.
"""

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold a lock on a file within the block; wait, with a notice, while another process does.

    The file is removed at the end, and its folder if that is empty, and the one above if it was
    made for it. A file system without locks gives a notice, and the block runs unprotected.

    Raises:
        OSError: The file cannot be made.
    """
    above = path.absolute().parent.parent
    is_new = not above.exists()
    file = _taken(path)
    with suppress(OSError):  # a full disk may still be worked on
        file.truncate(0)
        print(os.getpid(), file=file, flush=True)
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)
            path.parent.rmdir()
            if is_new:
                above.rmdir()
        with suppress(OSError):
            file.close()


def _taken(path: Path) -> TextIO:
    """Return the locked file; try again where the former holder removed it meanwhile."""
    while True:
        with suppress(FileNotFoundError):  # another process removes what it holds no more
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("a+", encoding="utf-8")
            _wait(file, path)
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file


def _wait(file: TextIO, path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        _say(f"{path}: waiting for the end of process {file.read().strip() or 'another'}")
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError as error:
        _say(f"{path}: cannot be locked ({error.strerror}); see that no other process works here")


def _say(message: str) -> None:
    print(f"tcsm: {message}", file=sys.stderr, flush=True)
