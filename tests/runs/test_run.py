"""A run knows its folder: configuration, records, weights and data."""

import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from tcsm import config
from tcsm.config.defaults import compose
from tcsm.errors import InputError
from tcsm.io.layout import REFERENCE
from tcsm.io.records import read_json, write_json
from tcsm.runs.run import Run

CFG = OmegaConf.create({"experiment": "toy", "seed": 4, "out": "x", "scratch": "aside"})
TRAINED = OmegaConf.create({**CFG, "seed": 3, "model": {"net": None}, "corpus": {"path": "a"}})


def made(folder: Path, weights: str = "9f" * 32, **fields: object) -> Run:
    """A run as a training leaves it."""
    folder.mkdir()
    for name in ("metrics.jsonl", "telemetry.jsonl", "weights.safetensors"):
        (folder / name).write_text("")
    Run(folder, TRAINED).write(
        "train", {"weights_sha256": weights, **fields}, {}, ("metrics.jsonl", "telemetry.jsonl")
    )
    return Run(folder)


def beside(folder: Path, stage: str) -> set[str]:
    """Names of the files whose checksums the telemetry of a stage holds."""
    return set(OmegaConf.load(folder / f"{stage}.telemetry.json").files_sha256)


def test_a_record_has_its_owner_and_its_checksums(tmp_path):
    run = made(tmp_path / "run", loss=0.5)
    record = run.record("train", ("loss",))
    assert record == {
        **{"stage": "train", "experiment": "toy", "seed": 3},
        **{"weights_sha256": run.weights, "loss": 0.5},
    }
    assert beside(run.folder, "train") == {"config.yaml", "train.json", "telemetry.jsonl"}
    assert run.corpus is not None
    assert (run.seed, run.corpus.plain, run.config.seed) == (3, {"path": "a"}, 3)
    (run.folder / "metrics.jsonl").write_text("{}")
    with pytest.raises(InputError, match=r"metrics\.jsonl: altered"):
        run.record()


def test_a_stage_that_reads_the_weights_leaves_the_configuration(tmp_path):
    run = made(tmp_path / "run")
    Run(run.folder, CFG).write("evaluate", run.draws(4), {})
    record = run.record("evaluate")
    assert (record["seed"], record["weights_seed"], record["draws_seed"]) == (3, 3, 4)
    assert record["weights_sha256"] == "9f" * 32
    assert beside(run.folder, "evaluate") == {"evaluate.json"}
    assert run.config.seed == 3
    run.forget()
    assert run.record("evaluate") == {}
    assert run.record()


def test_a_stage_in_a_folder_of_its_own_writes_its_configuration(tmp_path):
    Run(tmp_path / "own", CFG).write("evaluate", {}, {})
    assert read_json(tmp_path / "own/evaluate.json", ())["seed"] == 4
    assert beside(tmp_path / "own", "evaluate") == {"config.yaml", "evaluate.json"}
    with pytest.raises(InputError, match=r"^initial: .*config\.yaml names no model"):
        Run(tmp_path / "own").require_trained("initial")
    with pytest.raises(InputError, match=r"^initial: .*does not exist.*initial=null"):
        Run(tmp_path / "none").require_trained("initial")
    Run(tmp_path / "own", CFG).write("accuracy", {"share": 1.0}, {})
    assert Run(tmp_path / "own").record("accuracy")["share"] == 1


def test_other_weights_are_refused(tmp_path):
    run = made(tmp_path / "run", **{REFERENCE: "0e" * 32})
    run.require_weights("9f" * 32)
    with pytest.raises(InputError, match=r"train\.json beside it is of other weights"):
        run.require_weights("0e" * 32)
    other = made(tmp_path / "other")
    with pytest.raises(InputError, match=f"reference: {other.folder} .*9f9f.*0e0e"):
        run.require_reference(str(other.folder))
    with pytest.raises(InputError, match=r"out: .*train\.json of another stage"):
        run.require_free("collect")
    run.require_free("evaluate")


def test_files_of_a_stage_at_work_are_in_scratch_or_in_the_folder(tmp_path):
    assert Run(tmp_path, CFG).scratch == Path("aside")
    assert Run(tmp_path, OmegaConf.create({"out": "x"})).scratch == tmp_path


def test_choices_of_an_earlier_version_that_are_gone_are_left_out(tmp_path):
    """The values of the run are in its configuration; a new override of that key is refused."""
    trained = config.compose(["scale=smoke", "experiment=kjv/mdlm", "net.dim=32", "seed=2"])
    OmegaConf.update(trained, "overrides", ["scale=smoke", "net.dim=32", "scale.gone=1", "gone=a"])
    (tmp_path / "config.yaml").write_text(OmegaConf.to_yaml(config.resolve(trained)))
    reads = ("experiment", "seed", "out", "model", "data.length")
    cfg = compose([f"out={tmp_path}"], reads, ("out",))
    assert (cfg.model.net.dim, cfg.seed, cfg.experiment) == (32, 2, "kjv/mdlm")
    with pytest.raises(InputError, match=r"scale\.gone"):
        compose([f"out={tmp_path}", "scale.gone=1"], reads, ("out",))


@pytest.mark.slow
def test_a_run_is_read_without_torch():
    code = "import sys, tcsm.runs.run, tcsm.config.defaults; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_folder_of_a_run_may_be_a_string(tmp_path):
    write_json(tmp_path / "train.json", {"steps": 3})
    assert Run(str(tmp_path)).record()["steps"] == 3
