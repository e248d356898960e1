"""Standard streams and arguments of a command, in any locale.

A failing standard output or error stops no work: characters that cannot be printed are escaped or
dropped.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import Any

from tcsm.errors import InputError


class Steady:
    """A text stream that raises no OSError, for a closed pipe or a full disk."""

    def __init__(self, stream: Any) -> None:  # noqa: ANN401 -- any stream
        self._stream = stream
        if hasattr(stream, "reconfigure"):  # an ASCII terminal shows "é" as "\\xe9"
            stream.reconfigure(errors="backslashreplace")

    def write(self, text: str) -> int:
        """Write the text if possible; return its length."""
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush if possible; after a failure all further output is discarded."""
        try:
            self._stream.flush()
        except OSError:
            with suppress(OSError), open(os.devnull, "w", encoding="utf-8") as nowhere:
                os.dup2(nowhere.fileno(), self._stream.fileno())

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 -- any attribute
        return getattr(self._stream, name)


@contextmanager
def steady() -> Iterator[None]:
    """Wrap both standard streams in `Steady` within the block."""
    out, err = (s and Steady(s) for s in (sys.stdout, sys.stderr))  # a closed one is None
    with redirect_stdout(out), redirect_stderr(err):
        try:
            yield
        finally:
            for stream in filter(None, (out, err)):
                stream.flush()


def require_characters(arguments: Sequence[str]) -> None:
    """Refuse arguments with bytes that are invalid in the encoding of the locale.

    Raises:
        InputError: The argument, and the variable to set.
    """
    for argument in arguments:
        if any("\ud800" <= character <= "\udfff" for character in argument):
            encoding = sys.getfilesystemencoding()
            shown = os.fsencode(argument).decode("utf-8", "backslashreplace")
            advice = "" if encoding == "utf-8" else "; set PYTHONUTF8=1"
            raise InputError(f"{shown}: holds bytes that are no {encoding}{advice}")
