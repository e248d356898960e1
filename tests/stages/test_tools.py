"""Tools: what they print is the configuration, the keys and the differences that there are."""

import json
import math
import re
import shlex
import subprocess
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from omegaconf import OmegaConf

from tcsm import config
from tcsm.data.header import read_header
from tcsm.listing import described
from tcsm.runs.run import Run
from tcsm.stages import evaluate, train
from tcsm.statistics import over_seeds
from tcsm.tools.help import comments
from tests.stages.house import LENGTH, PARAMS, command


def test_config_prints_what_a_stage_would_read(house):
    done = command(
        "config", "train", *house.overrides(), "experiment=kjv/score", "trainer.steps=7"
    )
    assert done.code == 0
    printed = yaml.safe_load(done.out)
    assert printed["trainer"]["steps"] == 7
    assert printed["objective"]["smoothing"] == 0.05
    assert {key.partition(".")[0] for key in train.READS} == set(printed)


def test_config_takes_the_folder_of_a_run_as_its_stage_does(house):
    """Only its configuration is read."""
    given = [*house.overrides(), "experiment=kjv/score"]
    cfg = config.compose(given)
    (house.root / "run").mkdir(parents=True)
    cfg = OmegaConf.merge(config.cut(cfg, train.READS), {"overrides": given})
    (house.root / "run/config.yaml").write_text(OmegaConf.to_yaml(cfg))
    done = command("config", "evaluate", str(house.root / "run"), "data=zero_shot/ptb")
    printed = yaml.safe_load(done.out)
    assert done.code == 0, done.err
    assert (printed["data"]["length"], printed["evaluation"]["run"]) == (LENGTH, cfg.out)
    assert printed["metric"].keys() == {"ptb"}
    done = command("config", "evaluate", str(house.root), str(house.root / "run"))
    assert (done.code, len(done.err)) == (2, 1)


@pytest.mark.parametrize("arguments", [(), ("nope",), ("help",)])
def test_a_configuration_of_no_stage_is_refused(arguments):
    done = command("config", *arguments)
    assert done.code == 2
    assert "evaluate" in done.err[-1]


def test_help_of_a_stage_names_its_keys_with_defaults_and_its_groups_with_choices():
    done = command("train", "--help")
    assert done.code == 0
    assert re.search(r"trainer\.learning_rate=0\.003\n +Peak learning rate\.", done.out)
    for group in ("divergence", "neighborhood", "objective"):  # divergence by way of objective
        files = sorted((PARAMS / group).glob("*.yaml"))
        line = re.search(rf"^  {group} +((?:.*\n {{16}})*.*)", done.out, re.M)[1]
        assert [name.strip(" *\n") for name in line.split(",")] == [file.stem for file in files]
    assert "hamming*" in done.out
    assert "divergence" not in command("prepare", "--help").out


@pytest.mark.parametrize("tool", sorted({*described("tools")} - {"help"}))
def test_help_of_a_tool_says_what_it_does_and_what_to_type(tool):
    done = command(tool, "--help")
    assert done.code == 0
    assert done.out.startswith(described("tools")[tool])
    assert f"tcsm {tool}" in done.out


def test_two_runs_are_refused_where_one_is_meant(tmp_path):
    done = command("sample", str(tmp_path), str(PARAMS))
    assert done.code == 2
    assert str(tmp_path) in done.err[-1]
    assert str(PARAMS) in done.err[-1]


def test_keys_that_follow_one_another_share_a_comment():
    text = "# One.\na: 1\n# Two,\n# three.\nb:\n  # Four.\n  c: 2\n  d: 3\n\ne: 4\n"
    expected = {"a": "One.", "b": "Two, three.", "b.c": "Four.", "b.d": "Four.", "e": ""}
    assert comments(text) == expected


def test_doctor_names_a_missing_package_and_what_to_type(monkeypatch):
    assert "torch" in command("doctor").out
    monkeypatch.setattr("tcsm.tools.doctor.PACKAGES", {"no-such-package": "nothing"})
    done = command("doctor")
    assert done.code == 1
    assert re.search(r"missing +no-such-package .*\n.*pip install", done.out)


@pytest.fixture
def two(finished):
    """Two evaluated runs of one text."""
    return finished("kjv/distribution"), finished("kjv/mdlm")


def test_compare_prints_the_paired_difference_of_the_records(two):
    done = command("compare", *map(str, two))
    assert done.code == 0
    own = [json.loads((folder / "evaluate.json").read_text("utf-8")) for folder in two]
    one, other = (record["metrics"]["likelihood"]["splits"]["test"] for record in own)
    difference = np.sum(other["nats"]) - np.sum(one["nats"])
    printed = float(re.search(r"([+-]\d\.\d+) \[", done.out)[1])
    assert printed == pytest.approx(difference / sum(one["chars"]) / math.log(2), abs=6e-4)


def test_compare_refuses_runs_of_other_sequences(two, house):
    second = house.copy(two[1], "second")
    house.good("evaluate", "evaluation.sequences=4", name="second")
    done = command("compare", str(two[0]), str(second))
    assert done.code == 2
    assert "evaluation.sequences" in done.err[-1]
    assert str(second) in done.err[-1]
    assert command("compare", str(second)).code == 2
    assert "nowhere" in command("compare", str(second), "nowhere").err[-1]


def test_a_stage_ends_with_its_numbers_and_where_they_are(two, house):
    folder = house.copy(two[1], "second")
    done = house.run("evaluate", name="second")
    record = json.loads((folder / "evaluate.json").read_text("utf-8"))
    rate = record["metrics"]["likelihood"]["splits"]["test"]
    assert f"test {rate['bpc']:.3f}" in done.out
    assert str(folder / "evaluate.json") in done.out
    assert f"out={folder}" in house.run("train", "experiment=kjv/mdlm", name="second").out


def test_a_printed_configuration_is_that_of_the_stage(house):
    text = command("config", "evaluate", *house.overrides()).out
    assert set(OmegaConf.create(text)) == set(config.cut(OmegaConf.create(text), evaluate.READS))


def written(folder, stage, record, **config):
    """A run with one record."""
    plain = {"experiment": "post/any", "seed": 0, "labels": None, "classifier": None, "model": {}}
    run = Run(folder, OmegaConf.create({**plain, **config}))
    run.write(stage, record, {})
    return run


def test_a_training_that_continues_weights_says_what_it_cost(tmp_path):
    last = {"loss": 0.7, "valid_bpc": 2.625}
    record = {"steps": 6, "initial": {"valid_bpc": 2.5}, "final": last}
    assert "validation BPC 2.625 (+0.125 " in next(
        train.printed(written(tmp_path, "train", record))
    )


def test_an_evaluation_names_the_run_to_compare_with(tmp_path):
    rewards = {"reward": {"mean": 4.5, "sd": 1.0}, "texts": []}
    mean = over_seeds([2.0, 2.2, 3.6])  # the interval of `tcsm compare` and of the report
    split = {"bpc": mean.value, "bpc_se": mean.error, "sequences": mean.count}
    likelihood = {"splits": {"test": split}}
    record = {"metrics": {"likelihood": likelihood, "rewards": rewards}}
    run = written(tmp_path, "evaluate", record, initial="results/first")
    first, second, *_, last = evaluate.printed(run)
    assert f"test 2.600 ± {mean.high - mean.value:.3f}" in first
    assert "reward 4.5" in second
    assert f"tcsm compare results/first {tmp_path}" in last


TEXT8 = (
    "plan",
    "kjv/mdlm",
    "corpus=text8",
    "scale=full",
    "scale.net={dim: 768, depth: 12, heads: 12}",
    "scale.batch=8",
    "trainer.steps=64000000",
    "devices.choice=cpu",
)


def test_a_plan_of_text8_has_its_published_size(monkeypatch):
    """1,456 epochs and 7e19 FLOPs are those of a million steps of 512 sequences."""
    done = command(*TEXT8)
    assert done.code == 0, done.err
    for words in ("89.1 M parameters", "131 G tokens", "1,456.36 epochs", "7.05e+19 FLOPs"):
        assert words in done.out
    assert "repeats   1,456 epochs" in done.out
    assert "known protocol" in done.out
    assert "net.dropout=0.1" in done.out
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=2**30))
    full = command(*TEXT8, "out=results/large")
    assert full.code == 2
    assert re.search(r"out: needs 2\.\d GiB.*results/large has 1\.0", full.err[-1])


def test_a_plan_counts_the_tokens_that_are_prepared(house):
    done = command(*("plan", "kjv/distribution"), *house.overrides())
    count = read_header(house.data / "train.tok").count
    epochs = 6 * 4 * LENGTH / count
    assert f"so {epochs:,.2f} epochs" in done.out
    assert "overfits" not in done.out


def test_a_plan_refuses_what_has_no_network_or_no_room():
    assert command("plan").code == 2
    assert "reward/testaments" in command("plan", "reward/testaments").err[-1]
    assert "trainer.steps" in command("plan", "kjv/ar", "trainer.steps=few").err[-1]
    large = command("plan", "kjv/ar", "net.depth=400", "net.dim=8192", "devices.choice=cpu")
    assert large.code == 2
    assert large.err[-1].startswith("tcsm: error: net: needs more than")


COMPLETED = {
    ("tr",): {"train"},
    ("config", "ev"): {"evaluate"},
    ("plan", "exact/j"): {"exact/joint"},
    ("train", "trainer.le"): {"trainer.learning_rate="},
    ("train", "logger="): {f"logger={name}" for name in ("mlflow", "tensorboard", "wandb")},
    ("train", "process", "=", "u"): {"uniform"},  # as bash splits words
    ("sample", "--w"): {"--watch"},
    ("sample", "/pro"): {"/proc"},
    ("train", "out=/pro"): {"out=/proc"},
}


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_the_completion_of_a_shell_knows_commands_keys_and_choices(shell):
    printed = command("completion", shell).out
    lines = [
        line for line in printed.splitlines() if not line.startswith(("autoload", "complete"))
    ]
    for words in COMPLETED:
        lines.append(f"COMP_WORDS=(tcsm {shlex.join(words)}); COMP_CWORD={len(words)}; _tcsm")
        lines.append('echo "${COMPREPLY[@]}"')
    done = subprocess.run(
        ["bash"], input="\n".join(lines), capture_output=True, text=True, check=True
    )
    assert [set(line.split()) for line in done.stdout.splitlines()] == list(COMPLETED.values())


def test_the_completion_of_no_shell_is_refused():
    done = command("completion", "fish")
    assert done.code == 2
    assert "bash or zsh" in done.err[-1]
