"""What a run is of: later stages take it over, and refuse what contradicts it."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from tcsm.io.records import write_json
from tcsm.runs.outcome import read_run
from tests.stages.house import command, likelihood_of, make_text

pytestmark = pytest.mark.slow

SMALL = (
    "scale=smoke",
    "scale.length=16",
    "scale.batch=4",
    "scale.steps=2",
    "scale.warmup=1",
    "scale.net={dim: 16, depth: 1, heads: 2}",
    "scale.evaluation={sequences: 4, draws: 2, batch: 4}",
    "scale.sampling={count: 2, steps: [2]}",
    "scale.rewards={count: 2, steps: 2}",
    "scale.collecting={count: 4, steps: 2, batch: 4}",
    "scale.validation={every: 2, sequences: 2, draws: 1}",
    "devices.choice=cpu",
    "reward=function",
    "reward.path=tests.stages.house:vowels",
)


def good(*argv: str) -> None:
    done = command(*argv)
    assert done.code == 0, done.err


def refused(*argv: str) -> str:
    done = command(*argv)
    assert (done.code, len(done.err)) == (2, 1), done
    return done.err[0]


def record(folder: Path, name: str):
    return json.loads((folder / name).read_text())


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """An autoregressive run on a text and in tokens that are not the default ones."""
    root = tmp_path_factory.mktemp("trained")
    (root / "my.txt").write_text(make_text(0, 1200).upper())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TCSM_TARGETS", "tests")
        good("prepare", *of(root))
        good("train", *said(root), f"out={root / 'run'}", f"scratch={root / 'scratch'}")
        for stage in ("evaluate", "sample"):
            good(stage, *said(root), f"out={root / 'run'}")
    return root


@pytest.fixture
def run(root, tmp_path, monkeypatch) -> Path:
    """A copy that a test may change."""
    monkeypatch.setenv("TCSM_TARGETS", "tests")
    return Path(shutil.copytree(root / "run", tmp_path / "run"))


def of(root: Path) -> list[str]:
    normalize = "corpus.normalize.path=tcsm.data.normalize.verbatim"
    text = ["tokenizer=bytes", "corpus=local", f"corpus.path={root / 'my.txt'}", normalize]
    return [*text, f"data.root={root / 'data'}"]


def said(root: Path) -> list[str]:
    """The whole configuration, as a user had to repeat it."""
    return ["experiment=kjv/ar", *SMALL, *of(root)]


@pytest.mark.parametrize(
    ("stage", "name"), [("evaluate", "evaluate.json"), ("sample", "samples.json")]
)
def test_a_stage_takes_over_what_the_run_is_of(run, stage, name):
    before = (run / name).read_bytes()
    (run / name).unlink()
    good(stage, f"out={run}")
    assert (run / name).read_bytes() == before


def test_samples_of_a_run_are_scored_in_its_own_tokens(run):
    good("evaluate", f"out={run}", "metric=[rewards]")
    evaluation = record(run, "evaluate.json")
    assert evaluation["metrics"]["rewards"]["count"] == 2
    assert evaluation["metrics"].keys() == {"likelihood", "rewards"}
    assert evaluation["weights_sha256"] == record(run, "train.json")["weights_sha256"]
    assert "model" in yaml.safe_load((run / "config.yaml").read_text())


def test_a_collection_is_in_the_tokens_of_its_reference(run, tmp_path):
    out = tmp_path / "drawn"
    good("collect", f"reference={run}", f"out={out}", "sampler=next_token", "collecting.steps=2")
    actual = record(out, "collect.json")
    assert (actual["count"], actual["length"]) == (4, 16)
    assert actual["weights_sha256"] == record(run, "train.json")["weights_sha256"]


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("corpus=kjv", ("corpus._target_", "LocalText", "Kjv")),
        ("tokenizer=letters", ("tokenizer._target_", "Bytes", "Letters")),
        ("experiment=kjv/mdlm", ("experiment", "kjv/ar", "kjv/mdlm")),
        ("scale.net.dim=32", ("net.dim", "16", "32")),
    ],
)
def test_what_contradicts_the_training_is_refused(run, override, words):
    before = (run / "evaluate.json").read_bytes()
    line = refused("evaluate", f"out={run}", override)
    for word in (*words, str(run), f"leave out {override}"):
        assert word in line
    assert (run / "evaluate.json").read_bytes() == before


def test_a_run_is_evaluated_where_its_text_lies_by_now(root, run, tmp_path):
    """A text that was moved and prepared from there; another text is refused as ever."""
    before = likelihood_of(run)
    moved, other = tmp_path / "moved.txt", tmp_path / "other.txt"
    shutil.copy(root / "my.txt", moved)
    other.write_text((root / "my.txt").read_text()[::-1])
    for path in (moved, other):
        place = [f"corpus.path={path}", f"data.root={tmp_path / path.stem}"]
        good("prepare", *of(root), *place)
        if path == moved:
            good("evaluate", f"out={run}", *place)
            assert likelihood_of(run) == before
        else:
            assert str(run) in refused("evaluate", f"out={run}", *place)
    for path in (other, tmp_path / "none.txt"):
        line = refused("evaluate", f"out={run}", f"corpus.path={path}")
        assert f"made from corpus.path={root / 'my.txt'}, wanted {path}" in line
        advice = f"set corpus.path={root / 'my.txt'} or run prepare" in line
        assert advice == (path != other)  # the text of that place is another one
    (run / "train.json").unlink()
    assert "was trained with" in refused("evaluate", f"out={run}", *place)


def test_what_a_stage_decides_is_its_own_and_recorded(run):
    good("evaluate", f"out={run}", "data.length=8", "evaluation.sequences=3")
    actual = likelihood_of(run)
    assert actual["length"] == 8
    assert actual["splits"]["test"]["sequences"] == 3
    good("sample", f"out={run}", "data.length=8", "sampling.count=1")
    assert record(run, "samples.json")["length"] == 8


def test_another_seed_draws_from_the_same_weights(run, tmp_path):
    """The record stays the run's: its readers pair runs by the seed of the training."""
    before = record(run, "samples.json")
    good("sample", f"out={run}", "seed=3")
    good("evaluate", f"out={run}", "metric=[rewards]", "seed=3")
    drawn, evaluation = record(run, "samples.json"), record(run, "evaluate.json")
    for fields in (drawn, evaluation["metrics"]["rewards"]):
        assert [fields[key] for key in ("weights_seed", "draws_seed")] == [0, 3]
    assert drawn["seed"] == evaluation["seed"] == 0
    assert record(run, "samples.json")["runs"][0]["texts"] != before["runs"][0]["texts"]
    assert read_run(run).seed == 0
    good("sample", f"out={run}")  # what was drawn stands by the seed of its command
    assert record(run, "samples.json") == before
    apart = (f"evaluation.run={run}", f"out={tmp_path / 'apart'}", "metric=[rewards]")
    good("evaluate", *apart, "seed=4", "metric.rewards.count=1")
    evaluation = record(tmp_path / "apart", "evaluate.json")
    fields = evaluation["metrics"]["rewards"]
    assert [fields[key] for key in ("count", "weights_seed", "draws_seed")] == [1, 0, 4]
    assert evaluation["seed"] == 4


def test_a_run_of_an_older_version_is_known_by_its_experiment(run):
    before = likelihood_of(run)
    config = yaml.safe_load((run / "config.yaml").read_text())
    del config["overrides"]
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    good("evaluate", f"out={run}", "evaluation.sequences=4", "evaluation.draws=2")
    assert likelihood_of(run)["splits"] == before["splits"]


@pytest.mark.parametrize("older", [False, True])
def test_a_text_that_was_cut_elsewhere_is_not_scored(root, run, tmp_path, older):
    """Training text would be in the test split."""
    other = f"data.root={tmp_path / 'data'}"
    cut = (*of(root), "corpus.fractions=[0.5,0.25,0.25]", other)
    good("prepare", *cut)
    if older:  # its record has the hash of the training text alone
        actual = record(run, "train.json")
        del actual["splits_sha256"], actual["record_sha256"]
        write_json(run / "train.json", actual, ("metrics.jsonl",))
    line = refused("evaluate", f"out={run}", other)
    assert f"{'train' if older else 'test'}.tok" in line  # the same one in every process
    assert str(run) in line
    assert "prepare" in line
    initial = ("train", *said(root), *cut[-2:], f"initial={run}", f"out={tmp_path / 'next'}")
    if not older:
        assert str(run) in refused(*initial, f"scratch={tmp_path / 'scratch'}")


def test_records_of_former_weights_go_when_training_begins(root, run, tmp_path):
    again = ("train", *said(root), f"out={run}", f"scratch={tmp_path / 'scratch'}")
    refused(*again, "data.root=nowhere")
    assert (run / "evaluate.json").exists()
    good(*again, "trainer.learning_rate=0.1")
    left = {path.name for path in run.iterdir()}
    assert left.isdisjoint({"evaluate.json", "evaluate.telemetry.json", "samples.json"})
    assert {"train.json", "weights.safetensors"} < left


@pytest.mark.parametrize("command", ["collect", "train experiment=reward/testaments"])
def test_nothing_else_takes_the_folder_of_a_training(run, command):
    before = (run / "config.yaml").read_bytes()
    assert str(run) in refused(*command.split(), f"out={run}")
    assert (run / "config.yaml").read_bytes() == before


def test_a_report_is_of_its_runs(run, tmp_path):
    page = tmp_path / "page"
    good("report", f"runs=[{run}]", f"out={page}")
    text = (page / "index.html").read_text()
    assert "TCSM on my.txt" in text
    assert "King James" not in text
    assert "scale=smoke" in text
