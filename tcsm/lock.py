"""One process at a time: whoever writes in a folder holds a file there, and others wait.

A lock ends with its process. So one that was killed blocks nobody, and one that a killed Snakemake
left behind ends its work before another begins the same.
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
    """Holds a lock file; waits, and says so, while another does.

    At the end the file is removed, and the folder if it is empty.

    Where the file system knows no locks, that is said, and nobody waits.

    Raises:
        OSError: the file cannot be made.
    """
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
        with suppress(OSError):
            file.close()


def _taken(path: Path) -> TextIO:
    """The lock file, open and ours: one that its former holder removed meanwhile counts not."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
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
