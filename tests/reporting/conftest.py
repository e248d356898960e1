"""Six arms × three seeds of made-up but plausible records."""

import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from tcsm.reporting.records import Writer, write_json
from tcsm.reporting.runs import read_runs

ARMS = {
    "kjv/distribution": "TCSM, distribution",
    "kjv/score": "TCSM, score",
    "kjv/mdlm": "MDLM",
    "kjv/uniform": "TCSM, uniform noise",
    "kjv/teacher": "TCSM, AR teacher",
    "kjv/causal": "Autoregressive",
}
PAIRS = (("kjv/distribution", "kjv/mdlm"), ("kjv/score", "kjv/mdlm"))
LEVEL = dict(zip(ARMS, (2.10, 2.14, 2.11, 2.45, 2.06, 1.92), strict=True))
HOSTILE = '<script>alert("x")</script> & the LORD said unto Moses, '
VERSE = "and it came to pass in those days, that there went out a decree "
SEEDS = (0, 1, 2)


def make_run(root: Path, experiment: str, seed: int) -> Path:
    folder = root / experiment / f"seed-{seed}"
    folder.mkdir(parents=True)
    draw = np.random.default_rng([list(ARMS).index(experiment), seed])
    level = LEVEL[experiment] + 0.01 * draw.standard_normal()
    _config(folder, experiment, seed)
    _train(folder, experiment, seed, level, draw)
    _evaluate(folder, experiment, seed, level)
    _sample(folder, experiment, seed, level)
    for stage, seconds in {"train": 290.0, "evaluate": 21.0, "sample": 14.0}.items():
        write_json(folder / f"{stage}.telemetry.json", _telemetry(seconds + seed))
    return folder


def _config(folder: Path, experiment: str, seed: int) -> None:
    config = {"experiment": experiment, "seed": seed}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))


def _train(folder: Path, experiment: str, seed: int, level: float, draw) -> None:
    with Writer(folder / "metrics.jsonl") as writer:
        for step in range(20, 1201, 20):
            bits = 4.1 * level / 2 + 3.4 * (step / 20) ** -0.6 + 0.05 * draw.standard_normal()
            record = {"step": step, "tokens": step * 8192, "loss": 1.3 * bits, "lr": 1e-3}
            record |= {"grad_norm": 0.5 + 0.1 * draw.random()}
            if step % 100 == 0:
                record |= {"valid_nats_per_token": bits * math.log(2)}
            writer.append(record)
    train = {"stage": "train", "experiment": experiment, "seed": seed, "parameters": 1_204_736}
    train |= {"steps": 1200, "tokens": 1200 * 8192, "final": record}
    train |= {"weights_sha256": f"{seed}e" * 32, "data_sha256": "da" * 32}
    write_json(folder / "train.json", train)


def _evaluate(folder: Path, experiment: str, seed: int, level: float) -> None:
    shared = np.random.default_rng(7)  # texts are harder or easier for every arm alike
    chars = shared.integers(200, 260, size=40)
    hardness = shared.normal(0, 0.1, size=40)
    own = np.random.default_rng([seed, round(1e6 * level)]).normal(0, 0.02, size=40)
    nats = (level + hardness + own) * chars * math.log(2)
    split = {
        "bpc": float(nats.sum() / chars.sum() / math.log(2)),
        "nats": nats.tolist(),
        "chars": chars.tolist(),
    }
    by_noise = [
        {"masked_fraction": x, "nats_per_token": level * (0.4 + 1.9 * x**2), "se": 0.01, "n": 64}
        for x in (0.1, 0.3, 0.5, 0.7, 0.9)
    ]
    record = {"stage": "evaluate", "experiment": experiment, "seed": seed, "epsilon": None}
    record |= {
        "bound": "count" if level > 2 else "exact",
        "splits": {"valid": split, "test": split},
    }
    write_json(folder / "evaluate.json", record | {"by_noise": by_noise if level > 2 else []})


def _sample(folder: Path, experiment: str, seed: int, level: float) -> None:
    runs = [
        {
            "sampler": "ancestral",
            "steps": steps,
            "network_calls": steps,
            "texts": [HOSTILE + VERSE * 9, VERSE],
            "statistics": {
                "entropy": 4.6 - 0.05 * math.log(steps) + 0.01 * seed,
                "distinct_4": 0.71,
                "repetition": 0.02,
                "judge_bpc": level + 1.8 * steps**-0.4 + 0.02 * seed,
            },
        }
        for steps in (8, 32, 128)
    ]
    record = {"stage": "sample", "experiment": experiment, "seed": seed, "runs": runs}
    write_json(folder / "samples.json", record)


def _telemetry(seconds: float) -> dict[str, object]:
    versions = {"python": "3.11.7", "torch": "2.13.0", "tcsm": "0.1.0"}
    return {
        "seconds": seconds / 1.6,
        "cpu_seconds": seconds,
        "tokens_per_second": 33_000.0,
        "peak_memory_mib": 812.0,
        "mfu": None,
        "device": "cpu",
        "threads": 2,
        "versions": versions,
        "commit": "0123456789abcdef" * 2,
        "dirty": False,
        "started": "2026-01-01T00:00:00",
    }


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("made")
    for experiment in ARMS:
        for seed in SEEDS:
            make_run(root, experiment, seed)
    return root


@pytest.fixture(scope="session")
def runs(made: Path):
    return read_runs(_folders(made))


@pytest.fixture
def folders(made: Path, tmp_path: Path) -> list[Path]:
    """A copy that a test may damage."""
    shutil.copytree(made, tmp_path / "results")
    return _folders(tmp_path / "results")


def _folders(root: Path) -> list[Path]:
    return [root / experiment / f"seed-{seed}" for experiment in ARMS for seed in SEEDS]
