"""Bad input: exit code 2, one line that names key or file, and nothing half-written."""

import errno
import json
import os
import resource
import shutil
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.stages.house import House, command, make_text

VERBATIM = "corpus.normalize.path=tcsm.data.normalize.verbatim"

NELBO = ("objective=nelbo", "corruption=time", "weighting=sequence_mean")


def forget_draws(folder: Path) -> None:
    """Remove what a command that could not judge has drawn."""
    for draft in folder.glob("drawn-*"):
        draft.unlink()
    with suppress(OSError):
        folder.rmdir()


def refusal(house: House, stage: str, *overrides: str, name: str = "refused") -> str:
    """The one line that a command ends with; it must leave no file behind but drawn sequences."""
    shutil.rmtree(house.root / "scratch" / name, ignore_errors=True)
    before = house.files(name, "data")
    done = house.run(stage, *overrides, name=name)
    assert done.code == 2, done
    assert len(done.err) == 1, done.err
    assert done.err[0].startswith("tcsm: error: ")
    forget_draws(house.root / name)
    assert house.files(name, "data") == before
    assert not any(house.files(f"scratch/{name}").values())
    assert not house.unfinished()
    return done.err[0].removeprefix("tcsm: error: ")


# --- corpora -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "overrides", "said"),
    [
        (None, [], ["text", "corpus.path"]),
        (b"", [], ["text", "corpus.path"]),
        (b"12 \n", ["tokenizer=bytes", VERBATIM], ["corpus text:", "split 'valid'", "a longer"]),
        (b"caf\xe9 " * 50, [], ["text", "UTF-8", "byte 3", "convert it"]),
        ("a b é".encode() * 99, [VERBATIM], ["corpus text:", "'letters'", "'é'", "character 4"]),
        (b"some text", ["corpus.fractions=[0.5,0.5]"], ["corpus.fractions"]),
        (b"some text", ["corpus.fractions=abc"], ["corpus.fractions: ", "Sequence[float]", "abc"]),
        (b"some text", ["corpus.path=null"], ["corpus.path", "found None"]),
        (b"some text", ["data.root=null"], ["data.root", "found null"]),
    ],
)
def test_a_bad_corpus(house, tmp_path, content, overrides, said):
    if content is not None:
        (tmp_path / "text").write_bytes(content)
    line = refusal(house, "prepare", f"corpus.path={tmp_path / 'text'}", *overrides)
    assert all(part in line for part in said), line


def test_a_symbol_in_the_last_split_leaves_no_split(own_house):
    file = own_house.root / "text.txt"
    file.write_text(file.read_text()[:-1] + "é")
    assert "no symbol 'é'" in refusal(own_house, "prepare", VERBATIM)


def test_another_text_than_the_pinned_one(house):
    argv = [key for key in house.overrides("refused") if not key.startswith("corpus")]
    done = command("prepare", *argv, "corpus.sha256=abcd")
    assert done.code == 2
    assert "corpus.sha256: the normalized KJV has sha256 4a089e3a" in done.err[0]
    assert "wanted abcd" in done.err[0]


def test_a_root_that_is_a_file(house, tmp_path):
    (tmp_path / "file").write_text("mine")
    line = refusal(house, "prepare", f"data.root={tmp_path / 'file'}")
    assert str(tmp_path / "file") in line
    assert (tmp_path / "file").read_text() == "mine"


# --- token files -----------------------------------------------------------------------------


def flipped(content: bytes) -> bytes:
    return content[:-9] + bytes([content[-9] ^ 1]) + content[-8:]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("damage", "said", "split"),
    [
        (lambda content: content[:-5], "bytes, wanted", "train"),
        (lambda content: content + b"\0", "bytes, wanted", "train"),
        (lambda content: content[:99], "not a token file", "train"),
        (lambda content: b"", "not a token file", "train"),
        (flipped, "damaged", "train"),
        (flipped, "damaged", "valid"),
        (None, "cannot be read", "train"),
    ],
)
def test_a_bad_token_file(house, tmp_path, damage, said, split):
    shutil.copytree(house.data, tmp_path / "data")
    file = tmp_path / f"data/{split}.tok"
    content = file.read_bytes()
    file.unlink()
    if damage:
        file.write_bytes(damage(content))
    line = refusal(house, "train", f"data.root={tmp_path / 'data'}")
    assert line.startswith(f"{file}: ")
    assert said in line
    assert "run prepare" in line


def test_a_token_file_of_another_tokenizer(house):
    line = refusal(house, "train", "tokenizer=bytes")
    for part in ("train.tok: written by the tokenizer 'letters'", "wanted 'bytes'", "run prepare"):
        assert part in line


# --- weights -----------------------------------------------------------------------------------


@pytest.fixture
def run(house, trained, tmp_path):
    """A copy of a trained run that may be damaged, as an override of ``out``."""
    return shutil.copytree(trained("kjv/distribution"), tmp_path / "run")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("damage", "said", "stage"),
    [
        (lambda content: content[:-5], "whole checkpoint", "evaluate"),
        (lambda content: content[:5], "whole checkpoint", "evaluate"),
        (lambda content: b"", "whole checkpoint", "evaluate"),
        (flipped, "altered", "evaluate"),
        (None, "does not exist", "evaluate"),
        (flipped, "altered", "sample"),
    ],
)
def test_bad_weights(house, run, stage, damage, said):
    file = run / "weights.safetensors"
    content = file.read_bytes()
    file.unlink()
    if damage:
        file.write_bytes(damage(content))
    line = refusal(house, stage, f"out={run}")
    assert line.startswith(str(file))
    assert said in line
    assert "train" in line
    assert not (run / "evaluate.json").exists()
    assert not (run / "samples.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["evaluate", "sample"])
def test_weights_of_another_architecture(house, run, stage):
    line = refusal(house, stage, f"out={run}", "net.dim=32", "net.depth=2")
    assert line.startswith(f"net.depth: {run} was trained with 1, found 2; leave out net.depth=2")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["judge=nowhere"], ["judge: ", "nowhere/config.yaml", "judge=null"]),
        (["judge=3"], ["judge: ", "config.yaml", "judge=null"]),
        (["judge={run}"], ["judge: ", "must be an autoregressive run"]),
        (["sampling.count=0"], ["sampling.count", "found 0"]),
        (["sampling.count=abc"], ["sampling.count", "found 'abc'"]),
        (["sampling.steps=[]"], ["sampling.steps", "found []"]),
        (["sampling.steps=[4,0]"], ["sampling.steps", "found [4, 0]"]),
        (["sampling.steps=8"], ["sampling.steps", "found 8"]),
        (["sampler=next_token"], ["sampler=next_token", "model=autoregressive", "Factorized"]),
        (["sampler.steps=0"], ["sampler.steps", "found 0"]),
        (["seed=abc"], ["seed must be a whole number", "found 'abc'"]),
    ],
)
def test_samples_that_cannot_be(house, run, overrides, said):
    overrides = [override.format(run=run) for override in overrides]
    line = refusal(house, "sample", f"out={run}", *overrides)
    assert all(part in line for part in said), line
    assert not (run / "samples.json").exists()


@pytest.mark.slow
def test_a_judge_that_names_no_model(house, run, tmp_path):
    (tmp_path / "judge").mkdir()
    (tmp_path / "judge/config.yaml").write_text("seed: 0\n")
    line = refusal(house, "sample", f"out={run}", f"judge={tmp_path / 'judge'}")
    assert line.startswith(f"judge: {tmp_path}/judge/config.yaml names no model")


@pytest.mark.slow
def test_a_sampler_of_diffusion_for_an_autoregressive_model(house, trained):
    house.copy(trained("kjv/ar"))
    line = refusal(house, "sample", "experiment=kjv/ar", "sampler=ancestral", name="run")
    assert "sampler: Ancestral needs a posterior, found Autoregressive" in line


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["evaluation.sequences=0"], ["evaluation.sequences"]),
        (["evaluation.sequences=999"], ["evaluation.sequences", "999", "at most"]),
        (["evaluation.batch=0"], ["evaluation.batch"]),
        (["evaluation=null"], ["evaluation: found", "evaluation.sequences"]),
        (["data.length=1000"], ["data.length", "1000"]),
        (
            ["evaluation.draws=0"],
            ["evaluation.draws", "found 0"],
        ),
        (["evaluation.target_se=0"], ["evaluation.target_se", "above 0", "found 0"]),
        (["evaluation.target_se=nan"], ["evaluation.target_se", "above 0", "nan"]),
        (["evaluation.target_se=soon"], ["evaluation.target_se", "above 0", "soon"]),
        (["evaluation.target_se=0.1", "evaluation.most_draws=3"], ["evaluation.most_draws", "3"]),
        (["bound=exact"], ["bound=exact", "model=autoregressive", "found Factorized"]),
        (["bound=time", "bound.epsilon=1.0"], ["bound.epsilon", "found 1.0"]),
    ],
)
def test_an_evaluation_that_cannot_be(house, run, overrides, said):
    line = refusal(house, "evaluate", f"out={run}", *overrides)
    assert all(part in line for part in said), line
    assert not (run / "evaluate.json").exists()


# --- keys and values -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["trainer.stepz=3"], ["trainer.stepz", "did you mean steps?"]),
        (["nothing=3"], ["nothing: ", "allowed: "]),
        (["experiment=kjv/scor"], ["experiment=kjv/scor", "kjv/score"]),
        (["net=null"], ["net=null", "small"]),
        (["trainer.steps"], ["trainer.steps", "KEY=VALUE"]),
        (["trainer.steps=-1"], ["trainer.steps", "found -1"]),
        (["trainer.steps=abc"], ["trainer.steps", "found 'abc'"]),
        (["trainer.steps=null"], ["trainer.steps", "found None"]),
        (["trainer.steps=1.5"], ["trainer.steps", "found 1.5"]),
        (["trainer.warmup=7"], ["trainer.warmup", "trainer.steps"]),
    ],
)
def test_a_training_that_cannot_be(house, overrides, said):
    line = refusal(house, "train", *overrides)
    assert all(part in line for part in said), line


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["trainer.learning_rate=0.0"], ["trainer.learning_rate", "found 0.0"]),
        (["trainer.learning_rate=nan"], ["trainer.learning_rate", "found nan"]),
        (["trainer.clip=0.0"], ["trainer.clip", "found 0.0"]),
        (["trainer.betas=0.9"], ["trainer.betas", "found 0.9"]),
        (["trainer.betas=[a,b]"], ["trainer.betas", "'a'"]),
        (["trainer.decay=null"], ["trainer.decay", "found None"]),
        (["trainer.decay=linear"], ["trainer.decay", "'linear'"]),
        (["trainer.ema=0.99"], ["trainer.ema", "found 0.99"]),
        (["trainer.accumulate=3"], ["data.batch", "trainer.accumulate"]),
        (["trainer.log_every=0"], ["trainer.log_every", "found 0"]),
        (["data.length=99999"], ["data.length", "found 99999"]),
        (["data.length=0"], ["data.length", "found 0"]),
        (["data.batch=2.5"], ["data.batch", "found 2.5"]),
        (["data=null"], ["data.root"]),
        (["validation.every=0"], ["validation.every"]),
        (["validation.sequences=999"], ["validation.sequences", "999", "at most"]),
        (["seed=-1"], ["seed must be a whole number of 0 or more", "found -1"]),
        (["seed=1.5"], ["seed must be a whole number", "found 1.5"]),
        (["out=null"], ["out", "found None"]),
        (["threads=0"], ["threads", "found 0"]),
        (["devices.choice=tpu"], ["devices.choice", "found 'tpu'"]),
        (["vocabulary=20"], ["net.vocabulary", "27"]),
        (["path.source.vocabulary=20"], ["path.source.vocabulary", "27", "found 20"]),
        (["net.extra=0"], ["net.extra", "mask", "found 0"]),
        (["net.heads=3"], ["net.dim", "net.heads", "found 16"]),
        (["net.ratio=0"], ["net.ratio", "found 0"]),
        (["net.chunk=0"], ["net.chunk", "found 0"]),
        (["net.stem=2"], ["net.stem", "found 2"]),
        (["net.timed=true"], ["bound=count", "net.timed=false", "found true", "bound=time"]),
        (["bound=exact"], ["bound=exact", "model=autoregressive", "found Factorized"]),
        (
            ["validation.draws=0"],
            ["validation.draws", "found 0"],
        ),
        (["model.path=null"], ["path: ", "found None"]),
        (["net._target_=tcsm.process.schedules.Linear"], ["net: "]),
        (["objective=next_token"], ["objective=next_token", "model=autoregressive"]),
        (["schedule=polynomial", "schedule.power=0.0"], ["schedule.power"]),
        (["scoring=tsallis", "scoring.order=1.0"], ["scoring.order", "found 1.0"]),
        (
            ["objective=score", "objective.smoothing=2.0"],
            ["objective.smoothing"],
        ),
        (["corruption=time", "corruption.epsilon=1.0"], ["corruption.epsilon"]),
        (["experiment=kjv/uniform", "corruption=count"], ["Mask", "found Uniform"]),
        (["experiment=kjv/uniform", "bound=count"], ["Mask", "found Uniform"]),
        (["experiment=kjv/ar", "net.causal=false"], ["net.causal", "found false"]),
        (["experiment=kjv/ar", "net.extra=0"], ["net.extra", "start symbol"]),
        (["experiment=kjv/ar", "bound=count"], ["bound: ", "Autoregressive", "bound=exact"]),
        (
            ["objective=nelbo", "weighting=sequence_mean"],
            ["objective=nelbo", "corruption=time", "found CountSampling"],
        ),
        (
            ["objective=nelbo", "corruption=steps", "weighting=sequence_mean"],
            ["objective=nelbo", "corruption=time", "found StepSampling"],
        ),
        (
            ["objective=nelbo", "corruption=time"],
            ["objective=nelbo", "weighting=sequence_mean", "found OpenMean"],
        ),
        (
            ["experiment=kjv/ar", *NELBO],
            ["objective: ", "Nelbo"],
        ),
        (["divergence=bce"], ["divergence=bce", "=score,"]),
        (["objective=score", "scoring=brier"], ["scoring", "objective=distribution"]),
        (
            ["objective=score", "neighborhood.vocabulary=20"],
            ["neighborhood.vocabulary", "27", "found 20"],
        ),
        (
            ["objective=score", "neighborhood=semantic", "neighborhood.random=0"],
            ["tokens", "cannot be reached from token 0", "(2.2)", "raise neighborhood.near"],
        ),
        (
            ["corpus.fractions=[0.8,0.1,0.1]"],
            ["train.tok", "corpus.fractions", "[0.8, 0.1, 0.1]"],
        ),
        (
            ["corpus.normalize.path=tcsm.data.normalize.verbatim"],
            ["corpus.normalize.path=tcsm.data.normalize.text8", "tcsm.data.normalize.verb"],
        ),
        (["corpus=kjv"], ["corpus.path", "sha256"]),
        (["corpus.path=another.txt"], ["text.txt", "another.txt"]),
    ],
)
def test_more_trainings_that_cannot_be(house, overrides, said):
    line = refusal(house, "train", *overrides)
    assert all(part in line for part in said), line


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["runs=[]"], ["runs: ", "runs=["]),
        (["runs=null"], ["runs", "found None"]),
        (["runs=[3]"], ["runs", "found [3]"]),
        (["runs=[nowhere]"], ["nowhere/config.yaml"]),
        (["report.pairs=[[kjv/ar]]"], ["report.pairs", "[subject, baseline]"]),
        (["report.experiments=null"], ["report.experiments", "[str, str]", "found None"]),
        (["report.chapters=null"], ["report.chapters"]),
    ],
)
def test_a_report_that_cannot_be(house, overrides, said):
    line = refusal(house, "report", *overrides)
    assert all(part in line for part in said), line


@pytest.mark.slow
def test_a_damaged_record_is_named_with_its_line(house, run):
    (run / "train.json").write_text('{"seed": 0,\n "steps"')
    line = refusal(house, "report", f"runs=[{run}]")
    assert line.startswith(f"{run}/train.json:2: not valid JSON")


@pytest.mark.slow
def test_another_number_is_told_from_the_one_that_was_written(house, run):
    text = (run / "metrics.jsonl").read_text()
    (run / "metrics.jsonl").write_text(text.replace('"step": 2,', '"step": 3,'))
    line = refusal(house, "report", f"runs=[{run}]")
    assert line.startswith(f"{run}/metrics.jsonl: ")
    assert all(word in line for word in ("sha256", f"delete {run}/train.json"))


# --- a full disk -------------------------------------------------------------------------------


@contextmanager
def small_files(limit: int):
    """No file may grow beyond a limit."""
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, former[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)


@contextmanager
def full_disk(monkeypatch: pytest.MonkeyPatch, after: int):
    """So many files reach the disk, no more."""
    reached, fsync = [], os.fsync

    def fsync_or_fail(file: int) -> None:
        reached.append(file)
        if len(reached) > after:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(file)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync_or_fail)
        yield reached


@pytest.mark.slow
def test_no_room_for_token_files(own_house, monkeypatch):
    (own_house.root / "text.txt").write_text(make_text(1, words=1500))
    for after in (0, 1, 2):
        with full_disk(monkeypatch, after):
            line = refusal(own_house, "prepare")
        assert ".tok: no space left on the device" in line
        assert "data.root" in line
    with small_files(5000):
        assert "File too large" in refusal(own_house, "prepare")
    assert (own_house.root / "data").is_dir()


@pytest.mark.slow
def test_no_room_while_training_loses_nothing(house, trained, monkeypatch):
    """At whichever file the disk is full: one line, no torn file, the rest when there is room."""
    with full_disk(monkeypatch, 10**9) as reached:
        whole = house.good("train", name="whole")
    assert len(reached) > 12
    for after in range(0, len(reached), 3):
        with full_disk(monkeypatch, after):
            done = house.run("train", name=f"full-{after}")
        assert done.code == 2
        assert len(done.err) == 1
        assert "cannot be written" in done.err[0]
        assert "No space left on device" in done.err[0]
        assert not house.unfinished()
        again = house.good("train", name=f"full-{after}")
        for name in ("weights.safetensors", "metrics.jsonl", "train.json"):
            assert (again / name).read_bytes() == (whole / name).read_bytes()


def test_no_room_for_a_checkpoint(house):
    with small_files(20_000):
        line = house.run("train").err[-1]
    assert line.startswith(f"tcsm: error: {house.root}/scratch/run/state.safetensors: cannot be")
    assert "choose another folder" in line
    assert not (house.root / "run").exists()
    assert not house.unfinished()


@pytest.mark.slow
@pytest.mark.parametrize(("stage", "record"), [("evaluate", "evaluate"), ("sample", "samples")])
def test_no_room_for_a_record(house, run, monkeypatch, stage, record):
    """After the draws of a sample, which are forgotten here."""
    house.good(stage, f"out={run}")
    before = (run / f"{record}.json").read_text()
    with full_disk(monkeypatch, 1 if stage == "sample" else 0):
        line = refusal(house, stage, f"out={run}", "data.length=8")
    assert line.startswith(f"{run}/{record}.json: cannot be written: No space left on device")
    assert (run / f"{record}.json").read_text() == before
    assert json.loads(before)
    forget_draws(run)


def test_a_folder_that_may_not_be_written(house):
    """It is known before a step."""
    line = refusal(house, "train", "out=/proc/nowhere/run")
    assert line.startswith("out: /proc/nowhere/run cannot be written")
    assert not (house.root / "scratch").exists()


@pytest.mark.parametrize(
    ("override", "said"),
    [("trainer.steps=-5", "trainer.steps"), ("net.depth=0", "net.depth")],
)
def test_a_bad_value_is_told_before_data_are_missed(house, tmp_path, override, said):
    assert said in refusal(house, "train", override, f"data.root={tmp_path}")
