"""An exported run is the run, to the bit, and says what it is."""

import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import transformers

import tcsm
from tcsm.errors import InputError
from tests.stages.house import command
from tests.tokenizer_kinds import byte_level, saved


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
    weights = folder / "weights.safetensors"
    assert (published / "model.safetensors").read_bytes() == weights.read_bytes()
    assert not (published / weights.name).exists()
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
    again = tmp_path / "again"
    assert command("export", str(published), str(again)).code == 0
    assert (again / "model.safetensors").read_bytes() == weights.read_bytes()


def test_transformers_loads_an_exported_run(folder, tmp_path):
    published = tmp_path / "published"
    assert command("export", str(folder), str(published)).code == 0
    model, run = transformers.AutoModel.from_pretrained(published), tcsm.load(folder)
    assert (
        transformers.AutoConfig.from_pretrained(published).tcsm["experiment"] == "kjv/distribution"
    )
    x_t = torch.tensor([[27, 3, 27, 27, 5, 0, 27, 27]])
    t = torch.tensor([0.4])
    assert model(x_t, t).equal(run.log_conditionals(x_t, t))
    assert model.run.sample(1, steps=2) == run.sample(1, steps=2)


@pytest.mark.slow
def test_a_tokenizer_and_a_reference_go_along(house, trained, finished, tmp_path):
    """What a run reads besides its own folder may be gone where the export is loaded."""
    path, size = saved(tmp_path / "words", byte_level())
    words = ("tokenizer=gpt2", f"tokenizer.path={path}", f"vocabulary={size}")
    words += (f"data.root={tmp_path / 'data'}",)
    house.good("prepare", *words, name="data")
    bpe = house.good("train", "experiment=kjv/distribution", *words, name="bpe")
    gone = {"bpe": path}
    reference = house.copy(trained("kjv/mdlm"), "reference")
    given = ("experiment=kjv/joint", f"reference={reference}")
    gone["joint"] = reference
    house.good("train", *given, name="joint")
    for name, folder in gone.items():
        run, published = house.root / name, tmp_path / f"published-{name}"
        before = tcsm.load(run).sample(1, steps=2)
        assert command("export", str(run), str(published)).code == 0
        shutil.rmtree(folder)
        assert tcsm.load(published).sample(1, steps=2) == before
        with pytest.raises(InputError):
            tcsm.load(run).sample(1, steps=2)
    fast = transformers.AutoTokenizer.from_pretrained(tmp_path / "published-bpe")
    assert (
        fast("in the beginning")["input_ids"]
        == tcsm.load(tmp_path / "published-bpe").tokenizer.encode("in the beginning").tolist()
    )
    assert bpe.exists()


def test_an_upload_has_the_same_files(folder, tmp_path, monkeypatch):
    sent = {}

    class Api:
        """A Hub that one may write to in one namespace."""

        def create_repo(self, name, exist_ok):
            if not name.startswith("me/"):
                raise PermissionError("403: no token")

        def upload_folder(self, repo_id, folder_path):
            sent[repo_id] = {file.name for file in Path(folder_path).iterdir()}

    monkeypatch.setitem(sys.modules, "huggingface_hub", SimpleNamespace(HfApi=Api))
    assert command("export", str(folder), "hub:me/mine", "cc0-1.0").code == 0
    assert command("export", str(folder), str(tmp_path / "published")).code == 0
    assert sent == {"me/mine": {file.name for file in (tmp_path / "published").iterdir()}}
    refused = command("export", str(folder), "hub:other/mine")
    assert refused.code == 2
    assert "hub:other/mine" in refused.err[0]
    assert "no token" in refused.err[0]


def test_a_name_on_the_hub_is_downloaded_or_refused_in_a_line(folder, monkeypatch):
    kept = {("me/mine", None): str(folder), ("me/mine", "v1"): str(folder)}
    hub = SimpleNamespace(snapshot_download=lambda name, revision: kept[name, revision])
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    assert tcsm.load("hub:me/mine").folder == folder
    assert tcsm.load("hub:me/mine@v1").folder == folder
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
