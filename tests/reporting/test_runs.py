import hashlib
import json
from pathlib import Path

import pytest

from tcsm.errors import InputError
from tcsm.reporting.records import write_json
from tcsm.reporting.runs import read_run, read_runs


def change(path: Path, **changes: object) -> None:
    write_json(path, json.loads(path.read_text()) | changes)


def test_a_run_is_read_whole(folders):
    run = read_run(folders[0])
    assert (run.experiment, run.seed) == ("kjv/distribution", 0)
    assert run.metrics["step"].tolist() == list(range(20, 1201, 20))
    assert run.train["steps"] == 1200
    assert set(run.stages) == {"train", "evaluate", "sample"}
    content = (folders[0] / "config.yaml").read_bytes()
    assert run.config_sha256 == hashlib.sha256(content).hexdigest()


def test_stages_that_have_not_run_are_empty(folders):
    for name in ("samples.json", "evaluate.json", "metrics.jsonl", "evaluate.telemetry.json"):
        (folders[0] / name).unlink()
    run = read_run(folders[0])
    assert run.samples == run.evaluate == {}
    assert run.metrics.empty
    assert "evaluate" not in run.stages


def test_a_missing_configuration_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match=r"config.yaml: not found"):
        read_run(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", "config.yaml: not valid YAML"),
        ("- 1", "found list, a configuration is a mapping"),
        ("experiment: x", "missing seed"),
    ],
)
def test_a_damaged_configuration_is_refused(folders, text, message):
    (folders[0] / "config.yaml").write_text(text)
    with pytest.raises(InputError, match=message):
        read_run(folders[0])


def test_a_missing_key_is_named(folders):
    record = json.loads((folders[0] / "train.json").read_text())
    del record["parameters"]
    write_json(folders[0] / "train.json", record)
    with pytest.raises(InputError, match=r"train.json: missing parameters"):
        read_run(folders[0])


def test_a_record_of_another_run_is_refused(folders):
    change(folders[0] / "evaluate.json", seed=5)
    with pytest.raises(InputError, match=r"evaluate.json: seed is 5, config.yaml .* says 0"):
        read_run(folders[0])


def test_nats_without_their_chars_are_refused(folders):
    split = {"bpc": 1.0, "nats": [1.0, 2.0], "chars": [1]}
    change(folders[0] / "evaluate.json", splits={"test": split})
    with pytest.raises(InputError, match=r"split test: 2 nats for 1 chars"):
        read_run(folders[0])


def test_a_sampler_run_must_be_whole(folders):
    change(folders[0] / "samples.json", runs=[{"sampler": "ancestral"}])
    with pytest.raises(InputError, match=r"samples.json: run 0: missing steps, network_calls"):
        read_run(folders[0])


def test_a_run_is_taken_once(folders):
    copy = folders[0].with_name("copy")
    copy.mkdir()
    (copy / "config.yaml").write_bytes((folders[0] / "config.yaml").read_bytes())
    with pytest.raises(InputError, match=r"copy: .*seed 0 was already read from .*seed-0"):
        read_runs([folders[0], copy])
