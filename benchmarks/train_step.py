"""Tokens a second of a training step on CPU, against MDLM in the same paired run.

    python -m benchmarks.train_step --mdlm PATH_OF_A_CHECKOUT [--size char] [--threads 1]

A step = corrupt, forward, loss, backward, clip, AdamW, EMA, ``loss.item()``. With one thread the
process's CPU time counts, with more the clock on the wall. Ratios are medians over rounds of the
ratio to the first row within a round, with their [least, largest].
"""

import argparse
import json
import platform
import subprocess
from pathlib import Path
from statistics import median

import torch

from benchmarks.own import Own
from benchmarks.peers.mdlm import Mdlm
from benchmarks.sizes import SIZES, Size
from benchmarks.workers import Variant, Worker, race
from tcsm.process.corruption import CountSampling


def variants(checkout: Path) -> list[Variant]:
    """MDLM as it comes, MDLM helped, and TCSM."""
    return [
        Variant("MDLM", Mdlm, {"checkout": checkout}),
        Variant("MDLM, dropout 0", Mdlm, {"checkout": checkout, "dropout": 0.0}),
        Variant(
            "MDLM, dropout 0, bf16 autocast",
            Mdlm,
            {"checkout": checkout, "dropout": 0.0, "bf16": True},
        ),
        Variant("TCSM", Own),
        Variant("TCSM, by count", Own, {"corruption": CountSampling}),
        Variant("TCSM, time-conditioned", Own, {"timed": True}),
        Variant("TCSM, stem 7", Own, {"stem": 7}),
        Variant("TCSM, fp32", Own, {"precision": "fp32"}),
        Variant("TCSM, fp32 by oneDNN", Own, {"precision": "medium"}),
    ]


def row(worker: Worker, first: Worker) -> dict:
    """What is reported of a variant."""
    pairs = zip(worker.tokens_per_second, first.tokens_per_second, strict=True)
    ratios = [own / theirs for own, theirs in pairs]
    best = max(worker.tokens_per_second)
    return {
        "name": worker.variant.name,
        "parameters": worker.parameters,
        "ms_best": 1000 * worker.size.tokens / best,
        "tokens_per_second": median(worker.tokens_per_second),
        "ratio": median(ratios),
        "ratio_least": min(ratios),
        "ratio_largest": max(ratios),
        "peak_mib": worker.peak_mib,
        "loss": worker.losses[-1],
        "rounds": worker.tokens_per_second,
    }


def commit(folder: Path) -> str:
    """The commit that is checked out in a folder, "" where there is none."""
    command = ["git", "-C", str(folder), "rev-parse", "--short", "HEAD"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return found.stdout.strip()


def processor() -> str:
    """The CPU's model, as the system names it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if platform.system() == "Linux" else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model")]
    return " / ".join(dict.fromkeys(named)) or platform.processor()


def table(rows: list[dict]) -> str:
    """The result as Markdown."""
    head = "| variant | parameters | ms (best) | tokens/s | ratio [min, max] | peak MiB |\n"
    lines = [
        f"| {r['name']} | {r['parameters'] / 1e6:.2f} M | {r['ms_best']:.0f} "
        f"| {r['tokens_per_second']:.0f} | **{r['ratio']:.2f}** "
        f"[{r['ratio_least']:.2f}, {r['ratio_largest']:.2f}] | {r['peak_mib']:.0f} |"
        for r in rows
    ]
    return head + "|---|---|---|---|---|---|\n" + "\n".join(lines)


def report(size: Size, threads: int, rows: list[dict], checkout: Path) -> dict:
    """The rows and all that they depend on."""
    return {
        "benchmark": "train_step",
        "size": vars(size),
        "threads": threads,
        "clock": "process CPU time" if threads == 1 else "wall clock",
        "processor": processor(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "commits": {"tcsm": commit(Path()), "mdlm": commit(checkout)},
        "rows": rows,
    }


def main() -> None:
    """Race the variants, print a table, keep the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mdlm", type=Path, required=True, help="a checkout of MDLM")
    parser.add_argument("--size", choices=SIZES, default="char")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--only", nargs="*", help="names of variants to run besides the first")
    options = parser.parse_args()
    first, *others = variants(options.mdlm.resolve())
    chosen = [v for v in others if options.only is None or v.name in options.only]
    size = SIZES[options.size]
    workers = race([first, *chosen], size, options.threads, options.rounds)
    rows = [row(worker, workers[0]) for worker in workers]
    print(table(rows))
    out = Path("benchmarks/results", f"train_step-{size.name}-threads{options.threads}.json")
    out.parent.mkdir(exist_ok=True)
    result = report(size, options.threads, rows, options.mdlm)
    out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
