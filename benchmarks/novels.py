"""A few minutes on a GPU: the baseline and TCSM at equal tokens, curves, an extrapolation.

    python -m benchmarks.novels TEXT [--minutes 9] [--out benchmarks/results] [--tiny]

TEXT is a file or folder of text, such as novels (.gz and .zst are read); recipes of text8 train on
it with 85 million parameters, in turns of one command each, for steps that fill the minutes: the
first of them takes WARM steps alone, which measure the speed. ``--tiny`` runs in seconds on a CPU.
``novels.json`` has for each recipe the validation BPC by tokens, and BPC(n) = a + b n^(−c), fitted
by least squares from the second point on, with its value at ten times the tokens: an
extrapolation of so few points says which curve falls faster and no more.
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tcsm.__main__ import run

RECIPES = ("mdlm", "distribution", "score", "ar")
WARM, POINTS = 20, 10
BIG = (
    "scale=text8",
    "data.batch=128",
    "validation.sequences=128",
    "validation.draws=4",
    "evaluation.sequences=256",
    "trainer.log_every=10",
)
TINY = (
    "scale=pilot",
    "scale.net={dim: 16, depth: 1, heads: 2}",
    "data.length=16",
    "data.batch=4",
    "validation.sequences=4",
    "validation.draws=2",
    "trainer.log_every=2",
    "devices.choice=cpu",
)
# Short runs: a warm-up of a twentieth, decay to zero, an average that follows.
SHORT = (
    "trainer.decay={_target_: tcsm.training.optim.Cosine}",
    "trainer.ema.decay=0.99",
    "trainer.learning_rate=0.001",
    "net.dropout=0.0",
)


def fitted(tokens: Sequence[float], bpc: Sequence[float]) -> dict[str, float]:
    """Return a, b, c of a + b n^(−c) by least squares, c from a grid, and the value at 10 n."""
    n, y = np.asarray(tokens, float) / tokens[-1], np.asarray(bpc, float)
    fits = []
    for c in np.geomspace(0.02, 2, 100):
        columns = np.stack([np.ones_like(n), n**-c], 1)
        (a, b), *_ = np.linalg.lstsq(columns, y, rcond=None)
        fits.append((float(((columns @ [a, b] - y) ** 2).sum()), float(a), float(b), float(c)))
    _, a, b, c = min(fits)
    return {"a": a, "b": b * float(tokens[-1]) ** c, "c": c, "at_ten_times": a + b * 10**-c}


def trained(recipe: str, steps: int, common: Sequence[str], folder: Path) -> list[dict]:
    """Train a recipe; return the rows of its learning curve."""
    out = folder / f"{recipe}-{steps}"
    sizes = (
        f"trainer.steps={steps}",
        f"trainer.warmup={steps // 20}",
        f"trainer.checkpoint_every={steps}",
        f"validation.every={max(1, steps // POINTS)}",
    )
    words = [f"experiment=text8/{recipe}", *common, *sizes, f"out={out}"]
    if code := run(["train", *words]):
        raise SystemExit(code)
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [row for row in rows if "valid_bpc" in row]


def main(arguments: Sequence[str] | None = None) -> int:
    """Prepare the text, train all recipes at equal tokens, and write their curves."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text", type=Path)
    parser.add_argument("--minutes", type=float, default=9.0)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--work", type=Path, default=Path("results/novels"))
    parser.add_argument("--tiny", action="store_true")
    args = parser.parse_args(arguments)
    corpus = ("corpus=local", f"corpus.path={args.text}", f"data.root={args.work / 'tokens'}")
    if code := run(["prepare", *corpus, "corpus.normalize.path=tcsm.data.normalize.text8"]):
        return code
    common = (*corpus, *(TINY if args.tiny else BIG), *SHORT)
    begun = time.monotonic()
    trained(RECIPES[0], WARM, common, args.work)
    speed = (time.monotonic() - begun) / WARM
    left = args.minutes * 60 - (time.monotonic() - begun)
    steps = 2 * POINTS if args.tiny else max(POINTS, int(0.85 * left / len(RECIPES) / speed))
    curves = {}
    for recipe in RECIPES:
        rows = trained(recipe, steps, common, args.work)
        tokens, bpc = ([row[key] for row in rows] for key in ("tokens", "valid_bpc"))
        fit = fitted(tokens[1:], bpc[1:])
        curves[recipe] = {"tokens": tokens, "valid_bpc": bpc, "fit": fit}
        print(f"{recipe:<14} {bpc[-1]:.3f} BPC, at ten times the tokens {fit['at_ten_times']:.3f}")
    args.out.mkdir(parents=True, exist_ok=True)
    result = {"benchmark": "novels", "steps": steps, "seconds_per_step": speed, "curves": curves}
    (args.out / "novels.json").write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
