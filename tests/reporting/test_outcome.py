import hashlib
import json
from pathlib import Path

import pytest
import yaml

from tcsm.errors import InputError
from tcsm.io.records import write_json
from tcsm.runs.outcome import read_run, read_runs
from tests.reporting.house import weights


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
    likelihood = {"bound": "count", "by_noise": [], "splits": {"test": split}}
    change(folders[0] / "evaluate.json", metrics={"likelihood": likelihood})
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


@pytest.mark.parametrize("name", ["evaluate.json", "samples.json"])
@pytest.mark.parametrize("other", ["9f" * 32, None])
def test_a_record_of_other_weights_is_refused(folders, name, other):
    change(folders[0] / name, weights_sha256=other)
    stage = {"evaluate.json": "evaluate", "samples.json": "sample"}[name]
    with pytest.raises(InputError, match=rf"{name}: .*0e0e0e0e0e0e; .*tcsm {stage} out=") as error:
        read_run(folders[0])
    assert (other or "without the hash")[:12] in str(error.value)


def test_texts_of_a_run_that_was_trained_again_are_refused(folders):
    own = folders[0].with_name("graded")
    own.mkdir()
    run = {"experiment": "best", "seed": 0, "evaluation": {"run": str(folders[0])}}
    (own / "config.yaml").write_text(yaml.safe_dump(run))
    rewards = {"reward": {}, "rewards": [], "texts": []}
    record = {
        "stage": "evaluate",
        "experiment": "best",
        "seed": 0,
        "metrics": {"rewards": rewards},
    }
    write_json(own / "evaluate.json", record | {"weights_sha256": weights(0)})
    assert read_run(own).rewards
    change(folders[0] / "train.json", weights_sha256="9f" * 32)
    with pytest.raises(
        InputError, match=r"evaluate.json: of weights 0e0e.*9f9f.*tcsm evaluate out="
    ):
        read_run(own)


@pytest.mark.parametrize("way", ["{run}", "{run}/../{name}", "{link}"])
def test_a_run_counts_once_whatever_leads_to_it(folders, tmp_path, way):
    (tmp_path / "link").symlink_to(folders[0])
    again = way.format(run=folders[0], name=folders[0].name, link=tmp_path / "link")
    with pytest.raises(InputError, match=r"kjv/distribution with seed 0 was already read"):
        read_runs([folders[0], Path(again)])


def test_seeds_that_were_not_trained_alike_are_named(folders, capsys):
    read_runs(folders)
    assert capsys.readouterr().err == ""
    config = yaml.safe_load((folders[1] / "config.yaml").read_text())
    names = {"experiment": "kjv/distribution", "seed": 7}
    for key, value, words in (
        ("learning_rate", 0.5, ["trainer.learning_rate", "0.5"]),
        ("log_every", 3, []),
    ):
        own = folders[0].with_name(key)
        own.mkdir()
        trained = {**config, **names, "trainer": {**config.get("trainer", {}), key: value}}
        (own / "config.yaml").write_text(yaml.safe_dump(trained))
        read_runs([folders[0], own])
        output = capsys.readouterr().err.splitlines()
        assert len(output) == bool(words)
        for word in (*words, *(map(str, (own, folders[0])) if words else ())):
            assert word in output[0]


def test_a_record_of_an_earlier_version_is_to_be_made_again(folders):
    (folders[0] / "exact.json").write_text("{}")
    with pytest.raises(InputError, match=r"exact.json: .*tcsm evaluate out=.* metric=\[exact\]"):
        read_run(folders[0])
    record = json.loads((folders[0] / "evaluate.json").read_text())
    exact = {"kl": 0.1, "finite": True, "diverged": False}
    change(folders[0] / "evaluate.json", metrics={**record["metrics"], "exact": exact})
    assert read_run(folders[0]).distances == exact


def test_a_former_key_of_the_configuration_is_read_by_its_present_name(folders):
    path = folders[0] / "config.yaml"
    path.write_text(path.read_text() + "feed: {tilt: {beta: 2.0}}\n")
    assert read_run(folders[0]).config["batches"]["tilt"]["beta"] == 2.0


@pytest.mark.parametrize("old", ["exact.json", "train.json", "evaluate.json", "samples.json"])
def test_a_run_with_a_record_of_an_earlier_version_is_named_and_missing(folders, capsys, old):
    path = folders[0] / old
    if path.exists():
        keys = ("experiment", "seed", "stage", "weights_sha256")
        known = json.loads(path.read_text())
        bare = {key: known[key] for key in keys if key in known}
        bare |= {"runs": [{"sampler": "ancestral"}]} if old == "samples.json" else {}
        bare |= {"metrics": {"likelihood": {"splits": {}}}} if old == "evaluate.json" else {}
        write_json(path, bare)
        (folders[0] / old).with_suffix(".telemetry.json").unlink(missing_ok=True)
    else:
        path.write_text("{}")
    one, two = read_runs(folders[:2])
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert str(path) in lines[0]
    assert not one.results
    assert one.metrics.empty
    assert two.results
