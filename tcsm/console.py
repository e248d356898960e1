"""The streams and arguments of a command, in any locale.

Standard output and error stop no work: what cannot be printed is escaped or dropped.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import Any

from tcsm.errors import InputError


class Steady:
    """A text stream whose failures raise nothing: its reader may be gone, its disk full."""

    def __init__(self, stream: Any) -> None:  # noqa: ANN401 -- what has write and flush
        self._stream = stream
        if hasattr(stream, "reconfigure"):  # an ASCII terminal shows "é" as "\\xe9"
            stream.reconfigure(errors="backslashreplace")

    def write(self, text: str) -> int:
        """Write the text if that is possible; returns its length."""
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush if that is possible; else all that follows goes nowhere, at Python's exit too."""
        try:
            self._stream.flush()
        except OSError:
            with suppress(OSError), open(os.devnull, "w", encoding="utf-8") as nowhere:
                os.dup2(nowhere.fileno(), self._stream.fileno())

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 -- whatever the stream has
        return getattr(self._stream, name)


@contextmanager
def steady() -> Iterator[None]:
    """Make both standard streams `Steady` within the block."""
    out, err = (s and Steady(s) for s in (sys.stdout, sys.stderr))  # a closed one is None
    with redirect_stdout(out), redirect_stderr(err):
        try:
            yield
        finally:
            for stream in filter(None, (out, err)):
                stream.flush()


def require_characters(arguments: Sequence[str]) -> None:
    """Refuse arguments with bytes that the encoding of the locale does not know.

    Raises:
        InputError: it names the argument, and what to set.
    """
    for argument in arguments:
        if any("\ud800" <= character <= "\udfff" for character in argument):
            encoding = sys.getfilesystemencoding()
            shown = os.fsencode(argument).decode("utf-8", "backslashreplace")
            advice = "" if encoding == "utf-8" else "; set PYTHONUTF8=1"
            raise InputError(f"{shown}: holds bytes that are no {encoding}{advice}")
