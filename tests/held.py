"""Processes that wait for their signal: whoever sends one may be as late as it likes."""

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TypeVar

from tcsm.io.records import write_text
from tcsm.training import optim
from tcsm.training.interruption import stop_signals

T = TypeVar("T")
PATIENCE = 600  # seconds; nothing that works comes near, however slow the machine


@dataclass(frozen=True)
class OptimConfig(optim.OptimConfig):
    """An optimizer's configuration with a gate, a folder.

    In the step that the file ``step`` there names, a process leaves a file ``PID`` and waits, once
    in its life: SIGKILL ends it; after a signal that asks for the machine, or without that file,
    it goes on.
    """

    gate: str = field(kw_only=True)

    def rate(self, step: int) -> float:
        named, mark = Path(self.gate) / "step", Path(self.gate) / str(os.getpid())
        if not mark.exists() and named.exists() and named.read_text() == str(step):
            _wait(mark)
        return super().rate(step)


def _wait(mark: Path) -> None:
    came = threading.Event()
    former = {number: signal.getsignal(number) for number in stop_signals()}

    def note(number: int, frame: FrameType | None) -> None:
        came.set()
        handler = former[signal.Signals(number)]
        assert callable(handler)
        handler(number, frame)

    for number in former:
        signal.signal(number, note)
    mark.touch()
    while mark.exists() and not came.wait(0.01):
        pass
    for number, handler in former.items():
        if signal.getsignal(number) is note:  # else the run itself has put another in its place
            signal.signal(number, handler)


@dataclass(frozen=True)
class Gate:
    """The folder of a gate, seen from outside."""

    folder: Path

    @property
    def overrides(self) -> tuple[str, str]:
        """What lets a training know of it; ``TCSM_TARGETS=tests`` must be in its environment."""
        return "trainer._target_=tests.held.OptimConfig", f"+trainer.gate={self.folder}"

    def close(self, step: int) -> None:
        """Have whoever comes wait in this step, the first being 0; who waits already, stays."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_text(self.folder / "step", str(step))

    def open(self) -> None:
        """Let everybody go on."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def waiting(self) -> list[int]:
        """The processes that wait, or did."""
        return [int(path.name) for path in self.folder.glob("*") if path.name.isdigit()]


def heed_signals() -> None:
    """Take signals as a process in the foreground does: tests may run behind nohup or an `&`."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@contextmanager
def plugged(file: Path) -> Iterator[None]:
    """Puts a pipe in a file's place: whoever opens it, to read or to write, waits."""
    content = file.read_bytes() if file.exists() else None
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    os.mkfifo(file)
    try:
        yield
    finally:
        file.unlink()
        if content is not None:
            file.write_bytes(content)


def until(event: Callable[[], T], running: "subprocess.Popen[str] | None" = None) -> T:
    """Waits for something that must come, and before a process ends if one is given; gives it."""
    end = time.monotonic() + PATIENCE
    while not (actual := event()):
        assert time.monotonic() < end, event
        if running is not None and running.poll() is not None:
            actual = event()
            assert actual, running.communicate()
            return actual
        time.sleep(0.001)
    return actual
