"""An exported run is the run, to the bit, and says what it is."""

import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import tcsm
from tcsm.errors import InputError
from tests.stages.house import command


@pytest.fixture
def folder(trained, tmp_path) -> Path:
    return Path(shutil.copytree(trained("kjv/distribution"), tmp_path / "run"))


def test_an_exported_run_draws_and_scores_the_same(folder, tmp_path):
    tcsm.evaluate(folder)
    (folder / "notes.txt").write_text("my own")
    published = tmp_path / "published"
    assert command("export", str(folder), str(published), "cc0-1.0").code == 0
    assert not (published / "notes.txt").exists()
    assert not list(tmp_path.glob(".published-*"))
    weights = "weights.safetensors"
    assert (published / weights).read_bytes() == (folder / weights).read_bytes()
    shutil.rmtree(folder / ".scratch", ignore_errors=True)
    one, two = tcsm.load(folder), tcsm.load(published)
    assert one.sample(2, steps=2, seed=3) == two.sample(2, steps=2, seed=3)
    assert one.score(["in the beginning"], draws=2) == two.score(["in the beginning"], draws=2)
    record = one.record("evaluate")["metrics"]["likelihood"]
    card = (published / "README.md").read_text("utf-8")
    assert 'license: "cc0-1.0"' in card
    assert f"| test | {record['splits']['test']['bpc']:.3f} ± " in card
    config = json.loads((published / "config.json").read_text("utf-8"))
    assert config["weights_sha256"] == one.record("train")["weights_sha256"]


def test_a_name_on_the_hub_is_downloaded_or_refused_in_a_line(folder, monkeypatch):
    hub = SimpleNamespace(snapshot_download={"me/mine": str(folder)}.__getitem__)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    assert tcsm.load("hub:me/mine").folder == folder
    with pytest.raises(InputError, match=r"^hub:me/other: cannot be downloaded"):
        tcsm.load("hub:me/other")


def test_what_cannot_be_exported_is_named(folder, tmp_path):
    assert "weights.safetensors" in command("export", str(tmp_path), str(tmp_path / "a")).err[0]
    assert str(folder) in command("export", str(folder), str(folder)).err[0]
    assert "FOLDER" in command("export", str(folder)).err[0]
    for name in ("train.json", "config.yaml"):
        kept = (folder / name).rename(tmp_path / name)
        assert name in command("export", str(folder), str(tmp_path / "c")).err[0]
        kept.rename(folder / name)
    (folder / "weights.safetensors").write_bytes(b"\x10" + b"\0" * 7 + b"{")
    done = command("export", str(folder), str(tmp_path / "b"))
    assert done.code == 2
    assert "weights.safetensors" in done.err[0]
