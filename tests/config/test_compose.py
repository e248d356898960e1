"""Configurations: composed, cut, loaded, built; every mistake is one line with the key."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from tcsm import config
from tcsm.errors import InputError
from tcsm.process.paths import Path as NoisingPath
from tcsm.process.schedules import Polynomial

PARAMS = Path(__file__).parents[2] / "params"


def mistake(*overrides: str) -> str:
    """The line that these overrides earn."""
    with pytest.raises(InputError) as error, torch.device("meta"):
        config.check(config.compose(overrides, PARAMS))
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("overrides", "start", "allowed"),
    [
        (["path=foo"], "path=foo: no such choice", "allowed: mask, uniform"),
        (["experiment=kjv/scor"], "experiment=kjv/scor: no such", "did you mean kjv/score?"),
        (["trainer.stepz=1"], "trainer.stepz: unknown key", "did you mean steps?"),
        (["trianer.steps=1"], "trianer.steps: unknown key", "did you mean trainer?"),
        (["nothing=1"], "nothing: unknown key", "allowed: "),
        (["corruption=time", "objective.corruption.epsilon=0.1"], "objective.", "set the key"),
        (["+net.foo=1"], "net.foo: ", "allowed: vocabulary, extra, dim"),
        (["trainer.steps=abc"], "trainer.steps: must be of type int", "found 'abc'"),
        (["trainer.steps=1.5"], "trainer.steps: must be of type int", "found 1.5"),
        (["trainer.steps=true"], "trainer.steps: must be of type int", "found True"),
        (["trainer.steps=-1"], "trainer.steps must be 0 or more", "found -1"),
        (["net.heads=3"], "net.dim must be a multiple", "found 128"),
        (["corpus=local"], "corpus.path: found no value", "corpus.path=VALUE"),
        (["net.dim=${nowhere.dim}"], "net.dim: ", "nowhere"),
        (["~trainer.steps"], "trainer.steps: missing", "OptimConfig takes steps"),
        (["scale.steps=null"], "scale.steps: must be of type int", "found None"),
        (["trainer.decay._target_=os.system"], "trainer.decay._target_", "start with 'tcsm.'"),
        (["corpus._target_=subprocess.run"], "corpus._target_", "start with 'tcsm.'"),
        (["corpus.normalize.path=os.system"], "corpus.normalize.path", "start with 'tcsm.'"),
        (["net._target_=tcsm.nets.Nothing"], "net._target_", "cannot be imported"),
        (["trainer.steps=[1"], "trainer.steps=[1: cannot be read", "KEY=VALUE"),
        (["trainer.steps"], "trainer.steps: cannot be read", "KEY=VALUE"),
        (["a b c"], "a b c: cannot be read", "KEY=VALUE"),
        (["=3"], "=3: found no key", "KEY=VALUE"),
        (["net=null"], "net=null: no such choice", "allowed: "),
        (["scale=3"], "scale=3: no such choice", "allowed: "),
    ],
)
def test_a_mistake_names_the_key_and_what_is_right(
    overrides: list[str], start: str, allowed: str
) -> None:
    output = mistake(*overrides)
    assert output.startswith(start)
    assert allowed in output


def test_constructors_may_refuse_each_other() -> None:
    output = mistake("sampler=first_hitting", "experiment=kjv/uniform")
    assert "Mask" in output
    assert "Uniform" in output


def test_build_makes_what_the_node_names() -> None:
    cfg = config.compose(["schedule=polynomial", "schedule.power=3.0"], PARAMS)
    path = config.build(cfg.path)
    assert isinstance(path, NoisingPath)
    assert path.schedule == Polynomial(3.0)
    assert path.source.vocabulary == 27


def test_build_gives_constants_and_plain_containers() -> None:
    node = OmegaConf.create(
        {"_target_": "hydra.utils.get_object", "path": "tcsm.divergences.bregman.lsif"}
    )
    assert config.build(node).power == 2
    built = config.build(OmegaConf.create([{"a": [1, 2]}, "b"]))
    assert built == [{"a": [1, 2]}, "b"]
    assert type(built[0]["a"]) is list


def test_our_own_reason_wins_over_what_caused_it(tmp_path: Path) -> None:
    """The tokenizer of an empty folder: what we say of it, not the library's own words."""
    target = {"_target_": "tcsm.data.tokenizers.HuggingFace", "path": str(tmp_path), "size": 3}
    with pytest.raises(InputError, match=f"{tmp_path}: no tokenizer can be loaded from here"):
        config.build(OmegaConf.create(target))


def test_a_partial_may_lack_arguments() -> None:
    node = {"_target_": "tcsm.process.schedules.Polynomial", "_partial_": True}
    assert config.build(OmegaConf.create(node))(power=2.0) == Polynomial(2.0)


def test_cut_keeps_what_is_read() -> None:
    cfg = config.compose(["experiment=kjv/score", "seed=7"], PARAMS)
    kept = config.cut(cfg, ("seed", "data.root", "objective"))
    assert set(kept) == {"seed", "data", "objective"}
    assert kept.seed == 7
    assert dict(kept.data) == {"root": "data/kjv"}
    assert kept.objective.corruption.path.source.vocabulary == 27
    assert "${" not in OmegaConf.to_yaml(kept)


def test_cut_ignores_what_is_not_read() -> None:
    keys = ("seed", "trainer", "net")
    plain = config.cut(config.compose([], PARAMS), keys)
    assert config.cut(config.compose(["evaluation.sequences=9"], PARAMS), keys) == plain
    assert config.cut(config.compose(["trainer.clip=2.0"], PARAMS), keys) != plain


@pytest.mark.parametrize("key", ["nothing", "data.nothing", "seed.nothing"])
def test_cut_names_a_missing_key(key: str) -> None:
    with pytest.raises(InputError, match=f"^{key}: "):
        config.cut(config.compose([], PARAMS), ("seed", key))


def test_a_comment_changes_no_text(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("seed: 0\nnet: {dim: 1e-4}\n")
    before = config.resolve(config.compose([], tmp_path))
    (tmp_path / "config.yaml").write_text("# why\nseed: 0  # first\n\nnet:\n  dim: 0.0001\n")
    assert config.resolve(config.compose([], tmp_path)) == before


def test_bad_yaml_names_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("seed: 0\nnet: [\n")
    with pytest.raises(InputError, match=r"config\.yaml.*line 3") as error:
        config.compose([], tmp_path)
    assert "\n" not in str(error.value)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text("ab1e- "),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("xyz", min_size=1), inner),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(st.text("abc", min_size=1), values, min_size=1), min_size=1))
@settings(max_examples=10)
def test_what_is_written_is_read_again(runs: list[dict[str, object]]) -> None:
    text = "---\n".join(OmegaConf.to_yaml(config.resolve(OmegaConf.create(run))) for run in runs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", io.StringIO(text))
        assert [OmegaConf.to_container(cfg) for cfg in config.load("-")] == runs


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "found no document"),
        ("---\n---\n", "found no document"),
        ("- 1\n- 2\n", "document 1: expected a YAML mapping"),
        ("seed: 0\n---\nword\n", "document 2: expected a YAML mapping"),
        ("seed: [\n", "document 1: while parsing"),
        ("seed: !!python/object/apply:os.system [ls]\n", "document 1: could not determine"),
    ],
)
def test_load_refuses(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(text)
    with pytest.raises(InputError) as error:
        list(config.load(str(file)))
    assert str(error.value).startswith(f"{file}: {message}")
    assert "\n" not in str(error.value)


def test_load_of_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        list(config.load(str(tmp_path / "none.yaml")))


def test_params_are_found_beside_the_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert config.params_folder() == PARAMS
    (tmp_path / "params").mkdir()
    (tmp_path / "params/config.yaml").write_text("seed: 3\n")
    assert config.compose().seed == 3


@pytest.mark.slow
def test_configuration_needs_no_torch() -> None:
    code = "import sys, tcsm.config, workflow.runs; sys.exit('torch' in sys.modules)"
    assert subprocess.call([sys.executable, "-c", code], cwd=PARAMS.parent) == 0


def test_a_run_survives_json() -> None:
    """No value of a run is an object that only YAML can hold."""
    cfg = config.compose([], PARAMS)
    plain = OmegaConf.to_container(OmegaConf.create(config.resolve(cfg)))
    assert json.loads(json.dumps(plain)) == plain
