"""No text of a configuration and no name of a folder is read by a shell as anything but itself."""

import json
import os
import re
import shutil
import subprocess

import pytest
import yaml
from omegaconf import OmegaConf

from tcsm import config
from tcsm.errors import InputError
from tests.workflow.house import TOP, build
from workflow.ablations import read

NAMES = ("a b'c", 'q"$(touch pwned);&|`touch pwned`', "x{y}{{z}} %s *?", "new\nline")
HOSTILE = (
    """'; touch pwned; echo ' "$(touch pwned)" `touch pwned` {input} {x} {{y}} {params.config} """
    "%s \\ | & > pwned\n---\nEOF\n!#~*?[a]"
)


RUN = "results/grid/worlds/light-few/seed-0"


@pytest.fixture
def hostile(tmp_path):
    """A toy house in a folder of a hostile name, with hostile text in every configuration."""
    house = build(tmp_path.joinpath(*NAMES))
    house.edit("params/config.yaml", "text: in the beginning", f"text: {json.dumps(HOSTILE)}")
    for stage in ("evaluate", "collect", "report"):
        house.edit(f"tcsm/stages/{stage}.py", "READS = (", 'READS = ("corpus", ')
    return house


@pytest.mark.slow
def test_hostile_text_and_folders_pass_every_rule_unharmed(hostile, tmp_path):
    done = hostile.snakemake("--config", "scale=grid")
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(tmp_path.rglob("pwned")) == []
    kept = yaml.safe_load((hostile.folder / RUN / "config.yaml").read_text())
    assert kept["corpus"]["text"] == HOSTILE
    assert hostile.plan("--config", "scale=grid") == {}


@pytest.mark.slow
def test_a_hostile_name_of_data_stops_before_any_job(tmp_path):
    house = build(tmp_path / "house")
    house.edit("params/config.yaml", "data/toy", "data/..")
    done = house.snakemake("--dry-run")
    assert done.returncode != 0
    assert "data.root" in done.stdout + done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_make_works_in_a_folder_of_any_name(name, tmp_path):
    folder = tmp_path / name
    (folder / ".venv/bin").mkdir(parents=True)
    shutil.copy(TOP / "Makefile", folder)
    for file in ("pyproject.toml", "constraints.txt", ".venv/.stamp"):
        (folder / file).touch()
    python = folder / ".venv/bin/python"
    python.write_text('#!/bin/sh\nprintf "%s\\0" "$PATH" "$@" >called\n')
    python.chmod(0o755)
    subprocess.run(["make", "report"], cwd=folder, check=True, capture_output=True)
    path, *words = (folder / "called").read_text().split("\0")
    assert path == f"{folder / '.venv/bin'}:{os.environ['PATH']}"
    assert words[:2] == ["-m", "snakemake"]
    assert list(tmp_path.rglob("pwned")) == []


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("scale.seeds", ["0; touch pwned"], "scale.seeds must be a list of whole numbers"),
        ("scale.gpu", "$(touch pwned)", "scale.gpu must be a whole number"),
        ("scale.ablations", ["../ablation/exact"], "scale.ablations must be a list of names"),
        ("scale.name", "../smoke", "scale.name must be of letters"),
    ],
)
def test_a_scale_has_plain_names(key, value, said):
    cfg = config.compose(["scale=smoke"])
    OmegaConf.update(cfg, key, value)
    with pytest.raises(InputError, match=f"^{said}"):
        config.cut(cfg, ["seed"])


@pytest.mark.parametrize("value", ["..", ".", "$(touch pwned)", "a/b", "a b"])
def test_a_value_of_an_axis_has_a_plain_name(value, tmp_path):
    axes = {"loss": {value: []}}
    plan = {"experiment": "kjv/score", "stages": ["train"], "axes": axes}
    (tmp_path / "ablation").mkdir()
    (tmp_path / "ablation/one.yaml").write_text(yaml.safe_dump(plan))
    with pytest.raises(InputError, match="does not match"):
        read("one", "smoke", tmp_path)


def test_every_word_that_a_rule_gives_to_a_shell_is_quoted():
    """``{input}`` in a shell of Snakemake is text that it reads; ``{input:q}`` is a word."""
    rules = [
        TOP / "Snakefile",
        TOP / "workflow/launch.py",
        *(TOP / "workflow/rules").glob("*.smk"),
    ]
    words = [
        word
        for path in rules
        for word in re.findall(
            r"\{+(?:input|output|log|params|wildcards|resources)\b[^}]*\}+", path.read_text()
        )
    ]
    assert len(words) > 4
    assert [word for word in words if ":q}" not in word] == []
