"""A configuration names classes and constants of this package, and nothing else."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from tcsm import config
from tcsm.config.allowed import find
from tcsm.errors import InputError
from tcsm.rewards.function import Function
from tests.stages.house import command

FOREIGN = ["os.system", "builtins.eval", "subprocess.Popen", "hydra.utils.get_class", "tcsmx.A"]
# Reached through what modules of ours import.
THROUGH = [
    "tcsm.config.compose.hydra.utils.get_method",
    "tcsm.config.compose.instantiate",
    "tcsm.data.corpora.fetch.os.system",
    "tcsm.data.corpora.fetch.shutil.copyfile",
    "tcsm.io.records.Path.write_text",
    "tcsm.training.telemetry.subprocess.Popen",
    "tcsm.nets.base.nn.Module",
    "tcsm.nets.base.Network.load_state_dict",
]
OWN_FUNCTIONS = ["tcsm.__main__.run", "tcsm.io.records.write_text", "tcsm.config.build"]
DAMAGE = {"src": "text.txt", "dst": "copy.txt", "command": "cp text.txt copy.txt"}
MINE = """
import os

class Ring:
    def __init__(self, reach: int = 1) -> None:
        self.reach = reach

def vowels(texts):
    return [sum(letter in "aeiou" for letter in text) for text in texts]
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The working folder: a text, and a package of the user's."""
    (tmp_path / "text.txt").write_text("text")
    (tmp_path / "mine.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def refused(node) -> str:
    """The line that a node earns; nothing it names has run."""
    with pytest.raises(InputError) as error:
        config.build(OmegaConf.create(node))
    assert not Path("copy.txt").exists()
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("target", FOREIGN)
def test_a_target_of_another_package_is_refused(target):
    assert f"found {target}; it must start with 'tcsm.'" in refused({"a": {"_target_": target}})


@pytest.mark.parametrize("target", THROUGH)
@pytest.mark.parametrize("more", [{}, DAMAGE, {"_partial_": True}, {"_args_": ["text.txt"]}])
def test_what_our_modules_import_is_not_ours(target, more):
    output = refused({"a": {"_target_": target, **more}})
    assert output.startswith(f"a._target_: {target} is of ")
    assert output.endswith("not of tcsm itself")


MODULES = ["tcsm.config", "tcsm.config.compose.hydra", "tcsm.config.compose.UNBUILT"]


@pytest.mark.parametrize("target", MODULES)
def test_modules_and_plain_constants_are_refused(target):
    assert "is of builtins, not of tcsm itself" in refused({"a": {"_target_": target}})


@pytest.mark.parametrize("target", OWN_FUNCTIONS)
def test_a_function_of_ours_is_not_called(target):
    assert f"a._target_: {target} is not a class" in refused({"a": {"_target_": target}})


@pytest.mark.parametrize("path", [*FOREIGN, *THROUGH])
def test_a_constant_falls_under_the_same_rule(path):
    node = {"a": {"_target_": "hydra.utils.get_object", "path": path}}
    assert refused(node).startswith(f"a.path: {path} is of " if path in THROUGH else "a.path: f")


@pytest.mark.parametrize(
    "node",
    [
        [[{"_target_": "os.system", "command": "x"}]],
        {"_target_": "tcsm.process.schedules.Polynomial", "power": {"_target_": "os.system"}},
        {"_target_": "os.system", "_partial_": True},
        {"name": "os.system", "_target_": "${.name}"},
    ],
)
def test_no_place_is_overlooked(node):
    assert "found os.system; it must start with 'tcsm.'" in refused(node)


@pytest.mark.parametrize("key", ["_args_", "_recursive_", "_convert_"])
def test_no_argument_goes_round_the_signature(key):
    node = {"_target_": "tcsm.process.schedules.Polynomial", key: [3.0]}
    assert f"{key}: tcsm.process.schedules.Polynomial takes no such argument" in refused(node)


def test_the_configuration_of_a_pulled_run_is_no_exception(folder):
    (folder / "config.yaml").write_text("corpus: {_target_: os.system, command: cp text.txt copy}")
    done = command("prepare", "--config", "config.yaml")
    assert (done.code, len(done.err)) == (2, 1)
    assert not (folder / "copy").exists()


def test_the_command_line_says_it_in_one_line():
    target = "corpus._target_=tcsm.data.corpora.fetch.os.system"
    done = command("prepare", target, "+corpus.command=touch copy.txt")
    assert (done.code, len(done.err)) == (2, 1)
    assert done.err[0].startswith("tcsm: error: corpus._target_: tcsm.data.corpora.fetch.os.sys")
    assert not Path("copy.txt").exists()


def test_a_package_of_the_user_is_allowed_by_the_environment_alone(monkeypatch):
    node = OmegaConf.create({"_target_": "mine.Ring", "reach": 3})
    with pytest.raises(InputError, match="environment variable TCSM_TARGETS names"):
        config.build(node)
    monkeypatch.setenv("TCSM_TARGETS", " other, mine ")
    assert config.build(node).reach == 3
    with pytest.raises(InputError, match=r"mine\.os\.system is of posix, not of tcsm or o"):
        find("key", "mine.os.system")
    with pytest.raises(InputError, match=r"found minetoo\.Ring"):
        find("key", "minetoo.Ring")


def test_a_reward_of_the_user_falls_under_the_same_rule(monkeypatch):
    for path in ("mine:vowels", "os:system", "tcsm.data.corpora.fetch:os.system"):
        with pytest.raises(InputError, match=r"reward\.path: "):
            Function(path)
    monkeypatch.setenv("TCSM_TARGETS", "mine")
    assert Function("mine:vowels")(["idea"]).tolist() == [3]
    with pytest.raises(InputError, match=r"mine:os\.system is of posix"):
        Function("mine:os.system")


def test_what_is_refused_is_not_imported(folder, monkeypatch):
    (folder / "loud.py").write_text("open('copy.txt', 'w')")
    assert "found loud.A" in refused({"_target_": "loud.A"})
