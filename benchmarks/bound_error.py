"""Draws that a likelihood bound takes to a standard error, of a trained run, by estimator.

    python -m benchmarks.bound_error results/default/kjv/mdlm/seed-0

The variance by the draws alone is that of the bound of a sequence over independent rounds of
draws, averaged over test sequences; the spread of the text is no part of it. A draw is one row of
one network call, so that ratios of draws are ratios of network calls. Columns: bits a token; draws
of each of --of sequences to an error of --target-se bits a token; how many times fewer.
"""

import argparse
import math
from pathlib import Path

import torch
from torch import Tensor

from tcsm.config import Unbuilt, build
from tcsm.data.batches import evaluation_windows
from tcsm.evaluation.bound import Bound, Count, Time
from tcsm.evaluation.uniform_count import UniformControl, UniformCount
from tcsm.models.factorized import Factorized
from tcsm.process.sources import Mask
from tcsm.runs.corpus import Text
from tcsm.runs.models import load_model
from tcsm.runs.run import Run

ROW = "| {:<34} | {:>10} | {:>10} | {:>6} |"


def main() -> None:
    """Print a table of estimators."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--sequences", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=32)
    parser.add_argument("--draws", type=int, default=4)
    parser.add_argument("--target-se", type=float, default=0.01)
    parser.add_argument("--of", type=int, default=512, help="sequences of the evaluation")
    args = parser.parse_args()
    run = Run(args.run)
    cfg = run.require_trained("run")
    model = load_model(run, build(cfg.devices))
    assert isinstance(model, Factorized)
    text = Text(Path(cfg.data.root), run.tokenizer, Unbuilt(cfg.corpus))
    windows = evaluation_windows(text.open("test").tokens, cfg.data.length, args.sequences)
    by_count = Count if isinstance(model.path.source, Mask) else UniformCount
    time, count = Time(model.path), by_count(model.path)
    kinds: list[tuple[str, Bound, int]] = [
        ("times, independent", time, 1),
        (f"times, {args.draws} stratified", time, args.draws),
        ("count, independent", count, 1),
        (f"count, {args.draws} stratified", count, args.draws),
    ]
    if by_count is UniformCount:
        controlled = UniformControl(model.path)
        kinds.append((f"controlled, {args.draws} stratified", controlled, args.draws))
    unit = math.log(2) * cfg.data.length  # nats of a sequence to bits a token
    print(ROW.format("estimator", "bits", "draws", "ratio"))
    first = 0.0
    for name, bound, draws in kinds:
        nats = _rounds(model, bound, windows, args.rounds * args.draws // draws, draws) / unit
        variance = float(nats.var(1).mean()) * draws  # of a draw
        first = first or variance
        needed = variance / args.of / args.target_se**2
        cells = (f"{float(nats.mean()):.4f}", f"{needed:.1f}", f"{first / variance:.1f}")
        print(ROW.format(name, *cells), flush=True)


def _rounds(model: Factorized, bound: Bound, windows: Tensor, rounds: int, draws: int) -> Tensor:
    """Return independent estimates of the bound of each window, (N, rounds)."""
    ids = torch.arange(len(windows))
    with torch.autocast("cpu", torch.bfloat16):
        parts = [bound(model, windows, ids, seed, draws).nats.mean(1) for seed in range(rounds)]
    return torch.stack(parts, 1)


if __name__ == "__main__":
    main()
