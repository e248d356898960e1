"""Giving the machine back in good order: a signal ends the run after its step; exit code 75."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from tcsm.ranks import PREEMPTED


class Preempted(SystemExit):
    """The machine was asked for; the state is saved, and the process exits with 75."""

    def __init__(self) -> None:
        super().__init__(PREEMPTED)


@contextmanager
def interruption() -> Iterator[Callable[[], bool]]:
    """Tells whether SIGTERM or SIGUSR1 has come, instead of dying from it."""
    came = threading.Event()

    def note(number: int, frame: FrameType | None) -> None:
        came.set()

    if threading.current_thread() is not threading.main_thread():
        yield came.is_set
        return
    former = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGUSR1)}
    try:
        yield came.is_set
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
