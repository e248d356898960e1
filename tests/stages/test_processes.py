"""Two processes that share every batch give what one gives, to rounding."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from tcsm import config
from tcsm.stages.train import READS
from tcsm.training.checkpoint import load
from tests.held import PATIENCE
from tests.stages.house import House

pytestmark = pytest.mark.slow

TOP = Path(__file__).parents[2]
COMMON = ("devices.precision=fp32", "trainer.steps=4", "trainer.warmup=1", "scale.batch=8")
REWARD = ("reward=function", "reward.path=tests.stages.house:vowels")
EMA = "trainer.ema={_target_: tcsm.training.optim.Ema, decay: 0.9}"
# What is trained, by its overrides; {M} is the folder of a factorized run.
CASES = {
    "accumulated": ("experiment=kjv/score", "trainer.accumulate=2", EMA),
    "ar": ("experiment=kjv/ar",),
    "uniform": ("experiment=kjv/uniform_score",),
    "energy": ("experiment=kjv/joint", "reference={M}"),
    "ratio": ("experiment=post/density_ratio", "reference={M}", "initial={M}"),
    "pairs": ("experiment=post/preference", "reference={M}", "initial={M}", "collected={B}"),
    "weighed": ("experiment=post/reward", "initial={M}", "collected={B}"),
    "policy": ("initial={M}", "reference={M}", "objective=policy_gradient", "batches=on_policy"),
    "ar_policy": ("experiment=kjv/ar", "initial={A}", "batches=on_policy", "trainer.accumulate=2"),
    "taught": ("experiment=kjv/soft_hollow", "teacher_run={T}"),
    "bert": ("experiment=teacher/bert",),
}
SHARDED = ("accumulated", "ar", "energy", "ar_policy")


@pytest.fixture(scope="module")
def allowed() -> Iterator[None]:
    """A configuration may name what the tests define."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TCSM_TARGETS", "tests")
        yield


@pytest.fixture(scope="module")
def needs(allowed: None, file_house: House, trained) -> dict[str, Path]:
    """The runs that cases start from."""
    model = trained("kjv/distribution")
    drawn = file_house.good("collect", f"reference={model}", *REWARD, name="drawn")
    return {"M": model, "A": trained("kjv/ar"), "T": trained("teacher/hollow"), "B": drawn}


def overrides(case: str, needs: dict[str, Path]) -> list[str]:
    given = [part.replace("{", "{{").replace("}", "}}") for part in CASES[case]]
    for key in needs:
        given = [part.replace("{{" + key + "}}", "{" + key + "}") for part in given]
    reward = REWARD if "policy" in case else ()
    return [*COMMON, *(part.format(**needs) for part in given), *reward]


def share(house: House, needs: dict[str, Path], cases: tuple[str, ...], *more: str) -> Path:
    """Train cases in one command of two processes; returns the folder of their folders."""
    name = "parts" if more else "copies"
    texts = [
        config.cut(
            config.compose(
                [
                    *house.overrides(f"{name}/{case}"),
                    *overrides(case, needs),
                    "devices.processes=2",
                    *more,
                ]
            ),
            READS,
        )
        for case in cases
    ]
    done = subprocess.run(
        [sys.executable, "-m", "tcsm", "train", "--config", "-"],
        input="---\n".join(map(OmegaConf.to_yaml, texts)),
        cwd=TOP,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not list((house.root / "scratch" / name).rglob("*.yaml"))
    return house.root / name


@pytest.fixture(scope="module")
def one(file_house: House, needs: dict[str, Path]) -> Path:
    """The folder of the folders of the same runs, each by one process."""
    for case in CASES:
        file_house.good("train", *overrides(case, needs), name=f"one/{case}")
    return file_house.root / "one"


def rows(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def require_equal(one: Path, two: Path) -> None:
    """Losses, validation and weights, up to rounding; nothing is left of the many."""
    for left, right in zip(rows(one), rows(two), strict=True):
        for key in left.keys() & {"loss", "grad_norm", "valid_nats_per_token", "step", "tokens"}:
            assert math.isclose(left[key], right[key], rel_tol=1e-4, abs_tol=1e-6), key
    left, right = (load(folder / "weights.safetensors")[0] for folder in (one, two))
    assert left.keys() == right.keys()
    for name, tensor in left.items():
        torch.testing.assert_close(right[name], tensor, rtol=1e-3, atol=2e-4)


def test_copies_are_one(file_house: House, needs: dict[str, Path], one: Path) -> None:
    folder = share(file_house, needs, tuple(CASES))
    for case in CASES:
        require_equal(one / case, folder / case)


def test_shards_are_one(file_house: House, needs: dict[str, Path], one: Path) -> None:
    folder = share(file_house, needs, SHARDED, "devices.sharded=true")
    for case in SHARDED:
        require_equal(one / case, folder / case)
