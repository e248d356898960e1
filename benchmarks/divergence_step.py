"""CPU time of a training step by divergence, against distribution-level KL's in the same process.

    python -m benchmarks.divergence_step [--scale default] [--rounds 24] [--steps 4]

All variants live in one process and take turns, A B C … C B A, a few steps each, on the batches
that a run of ``params/`` would see (kjv/distribution, kjv/score). A ratio is one of medians over
rounds; its interval is a bootstrap over rounds, drawn jointly for both variants.
"""

import argparse
import json
import platform
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from benchmarks.measure import commit, processor
from tcsm import config
from tcsm.noise import batch_noise
from tcsm.training.devices import Devices
from tcsm.training.state import TrainState

SCORE = ("experiment=kjv/score",)
RAW = (*SCORE, "objective.smoothing=0.0")
LINE, WEIGHED = "objective=score_log_linear", "objective=score_preconditioned"
VARIANTS = {
    "distribution, KL": ("experiment=kjv/distribution",),
    "score, generalized KL, smoothed": SCORE,
    "score, generalized KL, raw": RAW,
    "score, BCE, raw": (*RAW, "divergence=bce"),
    "score, Hellinger, raw": (*RAW, "divergence=hellinger"),
    "score, Hellinger, smoothed": (*SCORE, "divergence=hellinger"),
    "score, LSIF, raw": (*RAW, "divergence=lsif"),
    "score, generalized KL, log-linear": ("experiment=kjv/score", LINE),
    "score, BCE, preconditioned": ("experiment=kjv/score", WEIGHED, "divergence=bce"),
}
DRAWS = 2000


@dataclass
class Variant:
    """A training that is advanced a few steps at a time.

    Attributes:
        overrides: what it is made of.
        batch: tokens of all its steps, (B, L).
        milliseconds: CPU time of a step, a round.
    """

    overrides: tuple[str, ...]
    batch: torch.Tensor
    milliseconds: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Build model, objective and optimizer."""
        torch.manual_seed(0)
        cfg = config.compose(self.overrides)
        self.model, self.objective = config.build(cfg.model), config.build(cfg.objective)
        self.state = TrainState(self.model.net, config.build(cfg.trainer))

    def advance(self, steps: int, devices: Devices) -> float:
        """CPU milliseconds of a step."""
        start = time.process_time()
        for _ in range(steps):
            noise = batch_noise(0, self.state.step, len(self.batch))
            with devices.autocast():
                loss = self.objective(self.model, self.batch, noise)["loss"]
            loss.backward()
            self.state.descend()
        return 1000 * (time.process_time() - start) / steps


def race(variants: list[Variant], rounds: int, steps: int, devices: Devices) -> None:
    """Turns there and back, after a warm-up."""
    for number in range(-2, rounds):
        for variant in variants if number % 2 == 0 else reversed(variants):
            spent = variant.advance(steps, devices)
            if number >= 0:
                variant.milliseconds.append(spent)


def row(name: str, variant: Variant, first: Variant) -> dict:
    """Median of a step and its ratio to the first variant's, with a bootstrap interval of 95 %."""
    own, base = np.array(variant.milliseconds), np.array(first.milliseconds)
    pick = np.random.default_rng(0).integers(len(own), size=(DRAWS, len(own)))
    ratios = np.median(own[pick], 1) / np.median(base[pick], 1)
    return {
        "name": name,
        "overrides": list(variant.overrides),
        "ms": float(np.median(own)),
        "ratio": float(np.median(own) / np.median(base)),
        "ratio_low": float(np.quantile(ratios, 0.025)),
        "ratio_high": float(np.quantile(ratios, 0.975)),
        "rounds": variant.milliseconds,
    }


def table(rows: list[dict]) -> str:
    """The result as Markdown."""
    head = "| variant | CPU ms a step | ratio [95 %] |\n|---|---|---|\n"
    return head + "\n".join(
        f"| {r['name']} | {r['ms']:.1f} "
        f"| **{r['ratio']:.3f}** [{r['ratio_low']:.3f}, {r['ratio_high']:.3f}] |"
        for r in rows
    )


def main() -> None:
    """Race the variants, print a table, keep the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", default="default")
    parser.add_argument("--rounds", type=int, default=24)
    parser.add_argument("--steps", type=int, default=4, help="steps of a turn")
    parser.add_argument("--only", nargs="*", help="names of variants to run besides the first")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    options = parser.parse_args()
    cfg = config.compose([f"scale={options.scale}"])
    length, size = cfg.data.length, cfg.data.batch
    batch = torch.randint(cfg.vocabulary, (size, length))
    devices = Devices(choice="cpu", threads=1)
    first, *others = VARIANTS
    names = [first, *(name for name in others if options.only is None or name in options.only)]
    with devices.ready():
        variants = [Variant((*VARIANTS[name], f"scale={options.scale}"), batch) for name in names]
        race(variants, options.rounds, options.steps, devices)
    rows = [row(name, variant, variants[0]) for name, variant in zip(names, variants, strict=True)]
    print(table(rows))
    result = {
        "benchmark": "divergence_step",
        "size": {"length": length, "batch": size, "vocabulary": cfg.vocabulary, **cfg.scale.net},
        "clock": "process CPU time",
        "processor": processor(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "commit": commit(Path()),
        "steps_a_turn": options.steps,
        "rows": rows,
    }
    options.out.mkdir(exist_ok=True)
    out = options.out / f"divergence_step-{options.scale}.json"
    out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
