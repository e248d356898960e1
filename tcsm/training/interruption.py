"""Signals: a training ends after its current step, saves its state and exits with 75."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from tcsm.training.distributed import PREEMPTED

ALWAYS = (signal.SIGTERM, signal.SIGUSR1)  # schedulers send them; ignored in jobs of Snakemake
PERSONAL = (signal.SIGINT, signal.SIGHUP)  # Ctrl-C, and a closed terminal


class Preempted(SystemExit):
    """Exit with code 75 after a signal; the state is saved."""

    def __init__(self) -> None:
        super().__init__(PREEMPTED)


def stop_signals() -> tuple[signal.Signals, ...]:
    """Return the signals that end a run after its current step.

    SIGINT and SIGHUP are not among them where they are ignored already, as under `nohup` or in a
    process that a shell starts in the background.
    """
    heard = (number for number in PERSONAL if signal.getsignal(number) is not signal.SIG_IGN)
    return (*ALWAYS, *heard)


@contextmanager
def interruption() -> Iterator[Callable[[], bool]]:
    """Return a function that tells whether one of these signals has arrived.

    A second Ctrl-C ends the process at once.
    """
    came = threading.Event()

    def note(number: int, frame: FrameType | None) -> None:
        came.set()
        if number == signal.SIGINT:
            signal.signal(number, former[signal.SIGINT])

    if threading.current_thread() is not threading.main_thread():
        yield came.is_set
        return
    former = {number: signal.signal(number, note) for number in stop_signals()}
    try:
        yield came.is_set
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
