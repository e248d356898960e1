"""The benchmarks of scale run in a small form, and what they tell is what they were asked."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import joint_bounds, novels, token_files, workflow_scale
from benchmarks.workflow_scale import Grid
from tcsm.models.factorized import Factorized
from tcsm.models.joint import Joint
from tcsm.process.paths import Path as NoisePath
from tcsm.process.schedules import Linear
from tcsm.process.sources import Mask
from tests.stages.house import make_text
from tests.tables import Table
from workflow.ablations import read

pytestmark = pytest.mark.slow
V, L = 3, 4


def test_a_grid_has_its_runs(tmp_path: Path) -> None:
    workflow_scale.copy_checkout(tmp_path)
    workflow_scale.add_grid(tmp_path, Grid(rates=2, smoothings=1, seeds=1))
    assert len(read("many", "many", tmp_path / "params")) == 4 * 2 * 2


def test_batches_come_from_all_over_a_file_and_memory_does_not_grow(tmp_path: Path) -> None:
    actual = token_files.streamed(tmp_path, 3_000_000)
    own = [place["own_mib"] for place in actual["memory"].values()]
    assert max(own) - min(own) < 50
    assert list(actual["batches"]) == ["start", "middle", "resumed"]


def test_a_stopped_preparation_keeps_its_shards(tmp_path: Path) -> None:
    actual = token_files.prepared(tmp_path, 4 * token_files.CHARACTERS)
    assert actual["equal"]
    assert 1 < actual["shards"]["kept"] <= actual["shards"]["all"]


def test_recipes_meet_at_equal_tokens_and_a_law_is_recovered(tmp_path: Path) -> None:
    tokens = np.geomspace(1e4, 1e6, 9)
    law = novels.fitted(tokens.tolist(), (1.2 + 40 * tokens**-0.5).tolist())
    assert law["a"] == pytest.approx(1.2, abs=0.02)
    assert law["c"] == pytest.approx(0.5, rel=0.1)
    (tmp_path / "text.txt").write_text(make_text(0, words=1500))
    words = ["--tiny", "--out", str(tmp_path), "--work", str(tmp_path / "work")]
    assert novels.main([str(tmp_path / "text.txt"), *words]) == 0
    actual = json.loads((tmp_path / "novels.json").read_text())["curves"]
    assert set(actual) == set(novels.RECIPES)
    assert len({tuple(curve["tokens"]) for curve in actual.values()}) == 1


def test_an_energy_of_zero_gains_nothing_by_any_estimator() -> None:
    path = NoisePath(Mask(V), Linear())
    model = Joint(joint_bounds.NoEnergy(), Factorized(Table(torch.randn(L, V)), path))
    actual = joint_bounds.gains(model, torch.randint(V, (3, L)))
    assert [row["bound"] for row in actual.values()].count(False) == 2
    for row in joint_bounds.over_seeds([actual, actual]).values():
        assert row["gain"] == pytest.approx(0, abs=1e-6)
        assert row["gain_se_seeds"] == pytest.approx(0, abs=1e-6)
