"""Sizes and variants of the experiment on film reviews, as overrides of the configuration."""

from dataclasses import dataclass
from pathlib import Path

import torch

ROOT = Path("results/imdb")
RESULT = Path("benchmarks/results/imdb.json")
POST = ["batches=collected", "batches.least_ess=0.0"]
VARIANTS = {
    "continued": [],
    **{f"tcsm_beta_{b}": [*POST, f"tilt.beta={b}"] for b in (4.0, 2.0, 1.0, 0.5)},
    "density_ratio_beta_2.0": [
        *POST,
        "tilt.beta=2.0",
        "objective=density_ratio",
        "divergence=bce",
    ],
    "filtered": [*POST, "tilt=best"],
    "preference_paired": ["batches=pairs", "objective=preference_paired"],
    "preference_unpaired": ["batches=pairs", "objective=preference_unpaired"],
    "preference_winners": ["batches=pairs", "objective=preference_winners"],
    "policy_gradient": ["batches=on_policy", "sampler.steps=32"],  # equal calls: few steps
}
SWEPT = ["tcsm_beta_2.0", *(name for name in VARIANTS if not name.startswith("tcsm"))]
RATES = (1e-4, 4e-4)


@dataclass(frozen=True)
class Plan:
    """Sizes of the whole experiment."""

    length: int = 128
    batch: int = 256
    steps: int = 3000
    dim: int = 512
    depth: int = 8
    classifier_steps: int = 900
    classifier_dim: int = 256
    collected: int = 8192
    sampler_steps: int = 64
    tuned_steps: int = 150
    graded: int = 512
    evaluated: int = 256


SMALL = Plan(16, 4, 4, 16, 1, 4, 16, 32, 4, 3, 8, 4)


def common(plan: Plan, tokenizer: Path) -> list[str]:
    """What all stages share."""
    return [
        "experiment=kjv/distribution",
        "scale=full",
        "tokenizer=gpt2",
        f"tokenizer.path={tokenizer}",
        "tokenizer.revision=main",
        "vocabulary=30522",
        "corpus=local",
        f"corpus.path={ROOT / 'reviews.txt'}",
        "corpus.normalize.path=tcsm.data.normalize.verbatim",
        f"data.root={ROOT / 'tokens'}",
        f"data.length={plan.length}",
        f"data.batch={plan.batch}",
        f"net.dim={plan.dim}",
        f"net.depth={plan.depth}",
        "net.stem=0",
        "net.chunk=8192",
        "validation.every=1000000",
        "validation.sequences=4",
        "validation.draws=2",
        f"evaluation.sequences={plan.evaluated}",
        "evaluation.draws=8",
        "evaluation.batch=64",
        f"scale.rewards.count={plan.graded}",
        f"scale.rewards.steps={plan.sampler_steps}",
        f"collecting.count={plan.collected}",
        f"collecting.steps={plan.sampler_steps}",
        f"collecting.batch={min(256, plan.collected)}",
        *classifier("reward"),
        *classifier("reward_judge"),
    ]


def classifier(group: str) -> list[str]:
    """A transformer as a reward."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    target = f"_target_: tcsm.rewards.hub.HubClassifier, name: {ROOT / group}, label: praise"
    return [f"+{group}={{{target}, batch: 256, length: 160, device: {device}}}"]
