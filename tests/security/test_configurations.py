"""Hostile text in a configuration: told in one line; no secret of the environment gets in."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcsm import config
from tcsm.errors import InputError
from tests.stages.house import command
from workflow.ablations import Variant
from workflow.compose import Compositions

SECRET = "hunter2hunter2"
PIECES = ("seed", "net", "hydra", "_target_", "os.system", "=", "+", "~", "@", ":", "{", "}", "[")
PIECES += ("]", "'", '"', "${", "$(id)", ";", "\n", "\x00", "/", "..", "\\", ",", "?", "\ud800")


@pytest.fixture(autouse=True)
def _secrets(monkeypatch):
    for name in ("AWS_SECRET_ACCESS_KEY", "HF_TOKEN"):
        monkeypatch.setenv(name, SECRET)


@pytest.mark.parametrize(
    "override",
    [
        "seed=$(touch it_ran)",
        "seed='\n1'",
        "\x00",
        "seed={a:",
        "~seed",
        "+=x",
        "//=x",
        "../=x",
        "net=../../etc/passwd",
        "hydra.searchpath=[pkg://antigravity]",
        "+hydra.callbacks.a._target_=os.system",
        "hydra/launcher=x",
        "seed=${hydra:runtime.cwd}",
        "++x=glob(*)",
        "--config-dir=/tmp",
        "seed=1,2",
        "out=${oc.env:HF_TOKEN}",
        "out=${oc.${experiment}:HF_TOKEN}",
        "net=${oc.env:HF_TOKEN}",
        "corpus={_target_: os.system, command: touch it_ran}",
    ],
)
def test_a_hostile_override_is_told_in_one_line(override, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = command("prepare", override, f"data.root={tmp_path}")
    assert (done.code, len(done.err)) == (2, 1)
    assert done.err[0].startswith("tcsm: error: ")
    assert SECRET not in done.err[0]
    assert [*tmp_path.iterdir()] == []


@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=6).map("".join))
def test_any_override_composes_or_is_told(override):
    with suppress(InputError):  # any other error fails
        config.cut(config.compose([override]), ["seed", "net", "out"])


def test_a_file_takes_nothing_from_the_environment(tmp_path):
    (tmp_path / "run.yaml").write_text("out: ${oc.env:HF_TOKEN}\nexperiment: a\n")
    done = command("prepare", "--config", str(tmp_path / "run.yaml"))
    assert done.code == 2
    assert done.err == ["tcsm: error: out: Unsupported interpolation type oc.env"]


def test_a_choice_takes_nothing_from_the_environment(tmp_path):
    """Hydra resolves choices by itself, and names the file that it misses."""
    (tmp_path / "config.yaml").write_text("defaults: [_self_, {net: '${oc.env:HF_TOKEN}'}]\n")
    with pytest.raises(InputError) as error:
        config.compose([], tmp_path)
    assert SECRET not in str(error.value)


@pytest.mark.parametrize(
    "url",
    [
        f"https://me:{SECRET}@example.org/a",
        f"s3://{SECRET}@bucket",
        f"s3://key:a/b+{SECRET}@bucket",
    ],
)
@pytest.mark.parametrize("key", ["corpus.url", "+note"])
def test_an_address_with_a_password_is_in_no_record(url, key):
    _, _, last = key.lstrip("+").rpartition(".")
    cfg = config.compose(["corpus=text8", f"{key}='{url}'"])
    with pytest.raises(InputError, match=f"^{last}: holds a user or a password") as error:
        config.cut(cfg, [key.lstrip("+").partition(".")[0]])
    assert SECRET not in str(error.value)


def test_an_address_with_a_password_is_in_no_parameter_of_a_rule(tmp_path, monkeypatch):
    """Snakemake would show it with the shell of the rule."""
    monkeypatch.chdir(tmp_path)
    variant = Variant(
        "kjv/mdlm", ("corpus=text8", f"corpus.url='https://{SECRET}@a.org/b'"), ("train",)
    )
    with pytest.raises(InputError, match=r"^url: holds a user or a password"):
        Compositions("smoke").text(variant, "prepare", {"out": "data"})


def test_an_address_without_one_is_kept():
    kept = config.cut(config.compose(["+note='https://example.org/a@b me@example.org'"]), ["note"])
    assert kept == {"note": "https://example.org/a@b me@example.org"}


@pytest.mark.slow
def test_no_secret_of_the_environment_is_written(tmp_path, capfd):
    """Every file and every word of preparation, training and evaluation."""
    from tests.stages.conftest import build

    house = build(tmp_path)
    output = [
        house.run(stage, "experiment=kjv/mdlm") for stage in ("prepare", "train", "evaluate")
    ]
    assert [done.code for done in output] == [0, 0, 0]
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b'"versions"' in written
    assert SECRET.encode() not in written
    assert SECRET not in json.dumps(output) + "".join(capfd.readouterr())
