"""Live processes that are timed in turns: A B C … C B A, so that load falls on all alike."""

import multiprocessing
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from benchmarks.measure import Laps
from benchmarks.sizes import Size
from benchmarks.timing import resident_mib


class Trainer(Protocol):
    """Something that takes steps: of training, or batches of samples, or calls of a bound.

    Attributes:
        parameters: of its network.
        laps: seconds by part of a step.
    """

    parameters: int
    laps: Laps

    def step(self, x_1: Tensor) -> float:
        """The loss of one step, or another number to compare."""


@dataclass(frozen=True)
class Variant:
    """A trainer to compare.

    Attributes:
        name: its row in the table.
        make: builds it from the size and a clock.
        options: further arguments of ``make``.
    """

    name: str
    make: Callable[..., Trainer]
    options: Mapping[str, Any] = field(default_factory=dict)


def _serve(variant: Variant, size: Size, threads: int, clock: Callable[[], float], pipe) -> None:
    """Answer each number of steps with the seconds they took; a negative one ends the process."""
    torch.set_num_threads(threads)
    warnings.simplefilter("ignore")  # peers' deprecations
    before = resident_mib()
    trainer = variant.make(size, clock=clock, **variant.options)
    x_1 = torch.randint(size.vocabulary, (size.batch, size.length))
    while (steps := pipe.recv()) >= 0:
        start = clock()
        values = [trainer.step(x_1) for _ in range(steps)]
        seconds = clock() - start
        peak = max(1.0, resident_mib() - before)
        more = trainer.report() if hasattr(trainer, "report") else {}
        report = {"losses": values, "peak_mib": peak, "parameters": trainer.parameters}
        pipe.send((seconds, report | {"parts_ms": trainer.laps.milliseconds(), "more": more}))


@dataclass
class Worker:
    """A variant in a process of its own.

    Attributes:
        variant: what it trains.
        size: at which size.
        threads: its CPU threads; one is timed by CPU time, more by the clock on the wall.
        turn_seconds: about how long a turn takes; a step at least.
        seconds: of a step, for each turn.
        last: the last turn's losses, memory and parts.
    """

    variant: Variant
    size: Size
    threads: int
    turn_seconds: float = 1.0
    seconds: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Start, warm up, and find how many steps fill a turn."""
        clock = time.process_time if self.threads == 1 else time.perf_counter
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        arguments = (self.variant, self.size, self.threads, clock, other)
        self.process = context.Process(target=_serve, args=arguments, daemon=True)
        self.process.start()
        other.close()  # so that a worker that dies is noticed
        once = self._run(1)
        if once < 3 * self.turn_seconds:  # a step that is longer needs no more to be warm
            once = self._run(1)
        if once < self.turn_seconds:
            once = self._run(2)
        self.steps = max(1, round(self.turn_seconds / once))

    def _run(self, steps: int) -> float:
        """Seconds a step."""
        self.pipe.send(steps)
        seconds, self.last = self.pipe.recv()
        return seconds / steps

    def turn(self) -> None:
        """One measurement."""
        self.seconds.append(self._run(self.steps))

    def close(self) -> None:
        """End the process."""
        self.pipe.send(-1)
        self.process.join()


def race(
    variants: list[Variant], size: Size, threads: int, rounds: int, turn_seconds: float = 1.0
) -> list[Worker]:
    """All variants, live, over some rounds of turns there and back."""
    workers = [Worker(variant, size, threads, turn_seconds) for variant in variants]
    for number in range(rounds):
        for worker in workers if number % 2 == 0 else reversed(workers):
            worker.turn()
    for worker in workers:
        worker.close()
    return workers
