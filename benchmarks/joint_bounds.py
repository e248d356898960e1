"""How much each estimator says that a joint stage improves on its factorized reference, on KJV.

    python -m benchmarks.joint_bounds --reference results/default/kjv/base/seed-0

One reference, kjv/base, which is trained if none is given; energies by noise contrast and by
ratios over drawn pairs of positions, three seeds each, in `results/joint_bounds`: what is there is
not made again. Every estimator takes the same draws for the model and for its reference, an energy
of 0, so that a gain, in bits a character of the test text, has a paired error over sequences; the
mean over seeds has one over seeds. Both take two energies of a sequence at a step. Twelve
CPU-minutes on one thread.
"""

import argparse
import math
import subprocess
import sys
import time
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.measure import commit, processor, save
from tcsm.config import Unbuilt, build
from tcsm.data.batches import evaluation_windows
from tcsm.evaluation.bound import Bound
from tcsm.evaluation.edlm import Edlm
from tcsm.evaluation.joint import JointCount
from tcsm.evaluation.joint_steps import JointSteps
from tcsm.models.joint import Joint
from tcsm.process.paths import Path as NoisePath
from tcsm.runs.corpus import Text
from tcsm.runs.models import load_model
from tcsm.runs.run import Run

TOP, FOLDER = Path(__file__).parents[1], Path("results/joint_bounds")
SEEDS = (0, 1, 2)
CHUNK = 2  # windows at once
QUIET = ("validation.every=100000", "validation.sequences=1", "validation.draws=1")
SHARED = (*QUIET, "data.length=64", "data.batch=32", "devices.choice=cpu")
STAGES = {
    "nce": ("experiment=kjv/joint_nce",),
    "score": ("experiment=kjv/joint", "objective.draws=1"),
}


class NoEnergy(nn.Module):
    """E = 0: the reference."""

    def forward(self, x: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """Return zeros."""
        return torch.zeros(x.shape[:2], dtype=torch.float64, device=x.device)


def estimators(path: NoisePath) -> dict[str, tuple[Bound, bool, int]]:
    """Name: the estimator, whether it is a bound, draws of a sequence."""
    by_steps = [(1, 8, 0.0), (1, 32, 0.0), (4, 8, 0.0), (4, 8, 0.5)]
    by_steps += [(steps, 8, since) for steps in (16, 64) for since in (0.0, 0.5, 0.75)]
    kinds: dict[str, tuple[Bound, bool, int]] = {
        f"steps T={steps} K={k} since={since}": (JointSteps(path, steps, k, 8, since), True, 4)
        for steps, k, since in by_steps
    }
    kinds["one position K=4"] = (JointCount(path, 4), True, 2)
    kinds |= {f"EDLM K={k}": (Edlm(path, k), False, 4) for k in (1, 16)}
    return kinds


def train(name: str, *overrides: str) -> Path:
    """Return the folder of a run, trained unless it is there."""
    out = FOLDER / name
    if not (out / "train.json").exists():
        command = [sys.executable, "-m", "tcsm", "train", *overrides, f"out={out}"]
        subprocess.run(command, check=True)
    return out


def estimate(bound: Bound, model: Joint, windows: Tensor, draws: int) -> Tensor:
    """Return nats of each window, a few at a time, which fit a cache: the numbers are the same."""
    ids = torch.arange(len(windows))
    parts = zip(windows.split(CHUNK), ids.split(CHUNK), strict=True)
    return torch.cat([bound(model, rows, some, 3, draws).nats.mean(1) for rows, some in parts])


def gains(model: Joint, windows: Tensor) -> dict[str, dict]:
    """Each estimator's number of the reference and of the model, and the gain with its error."""
    unit, energy, result = math.log(2) * windows.shape[1], model.net, {}
    for name, (bound, valid, draws) in estimators(model.path).items():
        begun = time.process_time()
        ours = estimate(bound, model, windows, draws) / unit
        seconds = time.process_time() - begun
        model.net = NoEnergy()
        base = estimate(bound, model, windows, draws) / unit
        model.net = energy
        gain = base - ours
        result[name] = {
            "bound": valid,
            "reference": float(base.mean()),
            "joint": float(ours.mean()),
            "gain": float(gain.mean()),
            "gain_se": float(gain.std() / len(gain) ** 0.5),
            "draws": draws,
            "cpu_seconds": round(seconds, 1),
        }
    return result


def over_seeds(seeds: list[dict[str, dict]]) -> dict[str, dict]:
    """The mean of each estimator over seeds with the error of the mean over seeds."""
    result = {}
    for name, first in seeds[0].items():
        gain = torch.tensor([one[name]["gain"] for one in seeds]).double()
        result[name] = {
            "bound": first["bound"],
            "reference": first["reference"],
            "gain": float(gain.mean()),
            "gain_se_seeds": float(gain.std() / len(gain) ** 0.5) if len(gain) > 1 else None,
            "gain_se_sequences": max(one[name]["gain_se"] for one in seeds),
        }
    return result


def main(words: list[str] | None = None) -> None:
    """Train, estimate, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reference", type=Path)
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--sequences", type=int, default=48)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--out", type=Path, default=TOP / "benchmarks/results/joint_bounds.json")
    args = parser.parse_args(words)
    torch.set_num_threads(1)
    reference = args.reference or train("reference", "experiment=kjv/base")
    size = (f"trainer.steps={args.steps}", f"trainer.warmup={args.steps // 15}")
    stages: dict[str, list[dict]] = {stage: [] for stage in STAGES}
    for stage, overrides in STAGES.items():
        for seed in args.seeds:
            own = (f"seed={seed}", f"reference={reference}")
            run = Run(train(f"{stage}/seed-{seed}", *overrides, *SHARED, *size, *own))
            stages[stage].append(gains(*opened(run, args.sequences)))
            keep(args, stages)
    for stage, seeds in stages.items():
        for name, row in over_seeds(seeds).items():
            error = row["gain_se_seeds"] or math.nan
            print(f"{stage:6} {name:26} {row['reference']:.4f} {row['gain']:+.4f} ± {error:.4f}")


def opened(run: Run, sequences: int) -> tuple[Joint, Tensor]:
    """Return the model of a run, and evenly spaced windows of its test text."""
    cfg = run.require_trained("run")
    model = load_model(run, build(cfg.devices))
    assert isinstance(model, Joint)
    text = Text(Path(cfg.data.root), run.tokenizer, Unbuilt(cfg.corpus))
    return model, evaluation_windows(text.open("test").tokens, cfg.data.length, sequences)


def keep(args: argparse.Namespace, stages: dict[str, list[dict]]) -> None:
    """Write what there is, with all that it depends on."""
    result = {
        "benchmark": "joint_bounds",
        "unit": "bits a character; gains over the reference, errors are standard errors",
        "device": processor(),
        "threads": 1,
        "torch": torch.__version__,
        "commit": commit(TOP),
        "reference": "kjv/base at scale=default, seed 0",
        "shared": [*SHARED],
        "steps": args.steps,
        "sequences": args.sequences,
        "stages": {
            name: {
                "overrides": [*STAGES[name]],
                "seeds": [*args.seeds][: len(seeds)],
                "mean": over_seeds(seeds),
                "each": seeds,
            }
            for name, seeds in stages.items()
            if seeds
        },
    }
    save(args.out, result)


if __name__ == "__main__":
    main()
