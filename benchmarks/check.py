"""Has a training step become slower? TCSM against its own dense path, within one run.

    python -m benchmarks.check [--seconds 25] [--update]        make bench-check

Both take turns in one process with one thread, and CPU time counts, so that other load and the
machine fall out of the ratio. A case fails when the interval of 95 % of its ratio lies wholly more
than 10 % below the committed baseline, ``benchmarks/results/check.json``.
"""

import argparse
import json
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from benchmarks import measure
from benchmarks.measure import Ratio, paired_ratio
from benchmarks.own import Own
from benchmarks.sizes import SIZES, Size

ALLOWED = 0.9  # of the baseline's ratio
CHAR = replace(SIZES["small-128"], batch=8)
BPE = Size("bpe-8k-small", vocabulary=8192, length=64, batch=8, depth=2, dim=128, heads=4)


@dataclass(frozen=True)
class Case:
    """A training step that is compared with its dense path."""

    name: str
    size: Size
    objective: str = "KL"


CASES = (
    Case("char, KL", CHAR),
    Case("8k tokens, KL", BPE),
    Case("8k tokens, generalized KL, smoothed", BPE, "generalized KL, smoothed"),
)


def ratio_of(case: Case, seconds: float) -> Ratio:
    """How many times faster TCSM is than its dense path; turns A B B A for some CPU seconds."""
    variants = [
        Own(case.size, objective=case.objective, head=head) for head in ("default", "dense")
    ]
    x_1 = torch.randint(case.size.vocabulary, (case.size.batch, case.size.length))
    spent: tuple[list[float], list[float]] = ([], [])
    for variant in variants:
        for _ in range(2):
            variant.step(x_1)
    end, order = time.process_time() + seconds, [0, 1]
    while time.process_time() < end or len(spent[0]) < 4:
        for index in order:
            start = time.process_time()
            variants[index].step(x_1)
            spent[index].append(time.process_time() - start)
        order.reverse()
    return paired_ratio(spent[1], spent[0])


def slower(ratio: Ratio, baseline: float) -> bool:
    """Whether the whole interval lies more than 10 % below the baseline."""
    return ratio.high < ALLOWED * baseline


def verdict(case: Case, ratio: Ratio, baseline: float) -> str:
    """A line about a case."""
    word = "SLOWER" if slower(ratio, baseline) else "ok"
    interval = f"[{ratio.low:.2f}, {ratio.high:.2f}]"
    return (
        f"{word}: {case.name}: {ratio.value:.2f} {interval} × the dense path, was {baseline:.2f}"
    )


def main(arguments: list[str] | None = None) -> int:
    """Measure all cases; return how many became slower."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=25.0, help="CPU seconds of a case")
    parser.add_argument("--baseline", type=Path, default=measure.RESULTS / "check.json")
    parser.add_argument("--update", action="store_true", help="make this run the baseline")
    options = parser.parse_args(arguments)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    ratios = {case: ratio_of(case, options.seconds) for case in CASES}
    torch.set_num_threads(threads)
    if options.update:
        rows = [{"name": case.name, **asdict(ratio)} for case, ratio in ratios.items()]
        here = {**measure.machine(), "commit": measure.commit(Path())}
        measure.save(options.baseline, {"benchmark": "check", **here, "rows": rows})
    known = {row["name"]: row["value"] for row in json.loads(options.baseline.read_text())["rows"]}
    for case, ratio in ratios.items():
        print(verdict(case, ratio, known[case.name]))
    return sum(slower(ratio, known[case.name]) for case, ratio in ratios.items())


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
