"""Live processes that are timed in turns: A B C … C B A, so that load falls on all alike."""

import multiprocessing
import resource
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from benchmarks.sizes import Size


class Trainer(Protocol):
    """Something that takes training steps."""

    parameters: int

    def step(self, x_1: Tensor) -> float:
        """The loss of one step."""


@dataclass(frozen=True)
class Variant:
    """A trainer to compare.

    Attributes:
        name: its row in the table.
        make: builds it from the size.
        options: further arguments of ``make``.
    """

    name: str
    make: Callable[..., Trainer]
    options: Mapping[str, Any] = field(default_factory=dict)


def _serve(variant: Variant, size: Size, threads: int, clock: Callable[[], float], pipe) -> None:
    """Answer each number of steps with the seconds they took; a negative one ends the process."""
    torch.set_num_threads(threads)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    trainer = variant.make(size, **variant.options)
    x_1 = torch.randint(size.vocabulary, (size.batch, size.length))
    while (steps := pipe.recv()) >= 0:
        start = clock()
        losses = [trainer.step(x_1) for _ in range(steps)]
        seconds = clock() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        pipe.send((seconds, losses, peak / 1024, trainer.parameters))


@dataclass
class Worker:
    """A variant in a process of its own.

    Attributes:
        variant: what it trains.
        size: at which size.
        threads: its CPU threads; one is timed by CPU time, more by the clock on the wall.
    """

    variant: Variant
    size: Size
    threads: int
    tokens_per_second: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Start, warm up, and find how many steps fill a turn of about a second."""
        clock = time.process_time if self.threads == 1 else time.perf_counter
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        arguments = (self.variant, self.size, self.threads, clock, other)
        self.process = context.Process(target=_serve, args=arguments, daemon=True)
        self.process.start()
        other.close()  # so that a worker that dies is noticed
        self._run(3)
        self.steps = max(1, round(1 / self._run(1)))

    def _run(self, steps: int) -> float:
        """Seconds a step."""
        self.pipe.send(steps)
        seconds, self.losses, self.peak_mib, self.parameters = self.pipe.recv()
        return seconds / steps

    def turn(self) -> None:
        """One measurement."""
        self.tokens_per_second.append(self.size.tokens / self._run(self.steps))

    def close(self) -> None:
        """End the process."""
        self.pipe.send(-1)
        self.process.join()


def race(variants: list[Variant], size: Size, threads: int, rounds: int) -> list[Worker]:
    """All variants, live, over some rounds of turns there and back."""
    workers = [Worker(variant, size, threads) for variant in variants]
    for number in range(rounds):
        for worker in workers if number % 2 == 0 else reversed(workers):
            worker.turn()
    for worker in workers:
        worker.close()
    return workers
