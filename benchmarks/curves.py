"""How costs grow: a power law for each, and a sentence that is read off the fit.

    python -m benchmarks.curves [--only NAME …] [--rounds 4] [--tiny] [--out benchmarks/results]

The points of a curve take turns in one process with one thread; CPU time counts. Memory is the
largest of a process of its own. The exponent is that of a least-squares line through the
logarithms of the medians; its interval of 95 % is a bootstrap over rounds. "At the end" is the
exponent between the last two points, which fixed costs distort least.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks import measure
from benchmarks.own import OBJECTIVES, Own
from benchmarks.sizes import Size
from benchmarks.uses import OwnBound, OwnSampler
from benchmarks.workers import Variant, Worker
from tcsm.divergences.bregman import generalized_kl
from tcsm.evaluation.bound import Count
from tcsm.models.autoregressive import Autoregressive
from tcsm.neighborhoods.hamming_k import HammingK
from tcsm.nets.transformer import Transformer
from tcsm.objectives.base import Likelihood, Objective
from tcsm.objectives.score_matching import FullScoreMatching
from tcsm.process.corruption import Corruption
from tcsm.samplers.first_hitting import FirstHitting
from tcsm.targets.adapters import TopK

BASE = Size("curves", vocabulary=27, length=64, batch=8, depth=2, dim=128, heads=4)
TURN = 0.1  # CPU seconds of a turn at least
Call = Callable[[], object]


@dataclass(frozen=True)
class Point:
    """A value on the axis, and the call that is timed there."""

    x: float
    call: Call


@dataclass(frozen=True)
class Curve:
    """A cost against a size.

    Attributes:
        name: short name.
        cost: what grows.
        axis: what it grows with.
        unit: of the cost.
        x: places on the axis.
        rounds: the cost there, each round's.
    """

    name: str
    cost: str
    axis: str
    unit: str
    x: list[float]
    rounds: list[list[float]]

    def row(self) -> dict:
        """The curve, its power law and its sentence."""
        fit = measure.power(self.x, self.rounds)
        y = np.median(np.array(self.rounds), 1)
        end = float(np.log(y[-1] / y[-2]) / np.log(self.x[-1] / self.x[-2]))
        sentence = (
            f"{self.cost} grows like ({self.axis})^{fit.exponent:.2f} "
            f"[{fit.low:.2f}, {fit.high:.2f}] from {self.axis} = {self.x[0]:.4g} to "
            f"{self.x[-1]:.4g}, at the end like ({self.axis})^{end:.2f}: twice the {self.axis} "
            f"costs {2**end:.2f} times as much."
        ).replace(f"({self.axis})", self.axis if self.axis.isalpha() else f"({self.axis})")
        medians = [{"x": at, "median": float(of)} for at, of in zip(self.x, y, strict=True)]
        more = {"end": end, "sentence": sentence, "points": medians}
        return {**asdict(self), **asdict(fit), **more}


def timed(points: list[Point], rounds: int) -> list[list[float]]:
    """CPU seconds of the points' calls, in turns there and back."""
    counts = []
    for point in points:
        point.call()
        spent = _spent(point.call, 1)
        counts.append(max(1, round(TURN / max(spent, 1e-4))))
    seconds: list[list[float]] = [[] for _ in points]
    order = list(range(len(points)))
    for _ in range(rounds):
        for index in order:
            seconds[index].append(_spent(points[index].call, counts[index]))
        order.reverse()
    return seconds


def _spent(call: Call, times: int) -> float:
    start = time.process_time()
    for _ in range(times):
        call()
    return (time.process_time() - start) / times


def step(size: Size, objective: str = "KL") -> Call:
    """A training step at a size."""
    own = Own(size, objective=objective)
    x_1 = torch.randint(size.vocabulary, (size.batch, size.length))
    return partial(own.step, x_1)


def vocabulary(large: bool, rounds: int) -> Curve:
    """Step time against V."""
    x = [1024, 4096, 16384, 65536] if large else [64, 128]
    points = [Point(v, step(replace(BASE, vocabulary=v))) for v in x]
    return Curve("step-v", "Time of a training step", "V", "s", x, timed(points, rounds))


def length(large: bool, rounds: int) -> Curve:
    """Step time against L."""
    x = [64, 128, 256, 512, 1024] if large else [16, 32]
    points = [Point(v, step(replace(BASE, length=v, batch=4))) for v in x]
    return Curve("step-l", "Time of a training step", "L", "s", x, timed(points, rounds))


def batch(large: bool, rounds: int) -> Curve:
    """Step time against B."""
    x = [2, 4, 8, 16, 32, 64] if large else [2, 4]
    points = [Point(v, step(replace(BASE, batch=v))) for v in x]
    return Curve("step-b", "Time of a training step", "B", "s", x, timed(points, rounds))


def blocks(corruption: Corruption, k: int) -> Objective:
    """Generalized KL over the k-Hamming ball."""
    near = HammingK(corruption.path.source.vocabulary, k)
    return FullScoreMatching(corruption, Likelihood(), generalized_kl, near)


def hamming(large: bool, rounds: int) -> Curve:
    """Step time against the k of the k-Hamming ball."""
    x = [2, 4, 8, 16] if large else [2, 4]
    for k in x:
        OBJECTIVES[f"{k}-Hamming"] = partial(blocks, k=k)
    points = [Point(k, step(BASE, f"{k}-Hamming")) for k in x]
    name = "Time of a training step over the k-Hamming ball"
    return Curve("step-k", name, "k", "s", x, timed(points, rounds))


def candidates(large: bool, rounds: int) -> Curve:
    """Time of a batch of exact targets against the number K of candidates."""
    x = [4, 16, 64, 256] if large else [2, 4]
    size = replace(BASE, vocabulary=512, length=32, batch=2)
    torch.manual_seed(0)
    sizes = {"dim": 64, "depth": 2, "heads": 2}
    net = Transformer(vocabulary=size.vocabulary, extra=1, causal=True, **sizes)
    model = Autoregressive(net).eval()
    x_1 = torch.randint(size.vocabulary, (size.batch, size.length))
    positions = torch.arange(size.length).expand_as(x_1) % 2 == 0
    points = []
    for k in x:
        teacher = TopK(k=k).attach(model)
        points.append(Point(k, torch.no_grad()(partial(teacher.log_conditionals, x_1, positions))))
    name = "Time of exact targets among candidates"
    return Curve("targets-k", name, "K", "s", x, timed(points, rounds))


def sampled(large: bool, rounds: int) -> Curve:
    """Time of first-hitting samples against the batch."""
    x = [1, 4, 16, 64] if large else [1, 2]
    points = []
    for count in x:
        sampler = OwnSampler(replace(BASE, batch=count), FirstHitting, 16 if large else 4)
        points.append(Point(count, partial(sampler.step, torch.empty(0))))
    return Curve("sample-b", "Time of first-hitting samples", "B", "s", x, timed(points, rounds))


def error(large: bool, rounds: int) -> Curve:
    """Time of the bound by count against the inverse of its standard error, by more draws."""
    counts = [1, 2, 4, 8, 16] if large else [1, 2]
    size = replace(BASE, batch=8)
    trained = OwnBound(size, Count, 1, train=60 if large else 2)
    calls = [copy(trained) for _ in counts]
    for call, draws in zip(calls, counts, strict=True):
        call.draws, call.values = draws, []
    points = [Point(0, partial(call.step, torch.empty(0))) for call in calls]
    spent = timed(points, rounds)
    while any(len(call.values) < (48 if large else 4) for call in calls):
        for call in calls:
            call.step(torch.empty(0))
    x = [call.report()["variance"] ** -0.5 for call in calls]
    return Curve("bound-se", "Time of the bound by count", "1/SE", "s", x, spent)


def memory(large: bool, rounds: int) -> Curve:
    """Largest memory of a training process against V, beyond what the imports take."""
    x = [8192, 32768, 131072] if large else [64, 4096]
    peaks = []
    for v in x:
        worker = Worker(Variant("TCSM", Own), replace(BASE, vocabulary=v), 1, TURN)
        worker.turn()
        worker.close()
        peaks.append([worker.last["peak_mib"]])
    return Curve("memory-v", "Memory of training", "V", "MiB", x, peaks)


CURVES = {
    "step-v": vocabulary,
    "step-l": length,
    "step-b": batch,
    "step-k": hamming,
    "targets-k": candidates,
    "sample-b": sampled,
    "bound-se": error,
    "memory-v": memory,
}


def measured(names: list[str], large: bool, rounds: int) -> Iterator[dict]:
    """The rows of the curves with these names."""
    for name in names:
        row = CURVES[name](large, rounds).row()
        print(f"{name}: {row['sentence']}", flush=True)
        yield row


def main(arguments: list[str] | None = None) -> None:
    """Measure the curves, print their sentences, keep the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", choices=CURVES, default=list(CURVES))
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--tiny", action="store_true", help="two points each")
    parser.add_argument("--out", type=Path, default=measure.RESULTS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    rows = list(measured(options.only, not options.tiny, options.rounds))
    here = {**measure.machine(), "commit": measure.commit(Path()), "size": asdict(BASE)}
    result = {"benchmark": "curves", "clock": "process CPU time", **here, "rows": rows}
    measure.save(options.out / "curves.json", result)


if __name__ == "__main__":
    main()
