"""The command line: which stage runs with what, and how mistakes are told."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
from omegaconf import DictConfig

from tcsm import commands as cli
from tcsm.errors import InputError

STAGES = (*("collect", "evaluate", "prepare", "report", "sample", "train"),)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, object], Path]]:
    """Every stage notes its call instead of working; it reads the seed and the trainer."""
    seen: list[tuple[str, dict[str, object], Path]] = []

    def stage(name: str) -> SimpleNamespace:
        def main(cfg: DictConfig, out: Path) -> None:
            seen.append((name, dict(cfg), out))

        return SimpleNamespace(READS=("seed", "out", "trainer.steps"), main=main)

    monkeypatch.setattr(cli, "importlib", SimpleNamespace(import_module=stage))
    return seen


def fails(*argv: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert cli.run(argv) == 2
    output = capsys.readouterr().err
    assert output.startswith("tcsm: error: ")
    assert len(output.splitlines()) == 1
    return output


def test_overrides(calls: list[tuple[str, dict[str, object], Path]]) -> None:
    assert cli.run(["train", "seed=5", "out=here", "trainer.steps=9"]) == 0
    cfg = {"seed": 5, "out": "here", "trainer": {"steps": 9}}
    assert calls == [("tcsm.stages.train", cfg, Path("here"))]


def test_documents(calls: list[tuple[str, dict[str, object], Path]], tmp_path: Path) -> None:
    file = tmp_path / "runs.yaml"
    run = "seed: {0}\nout: run-{0}\nother: 1\ntrainer: {{steps: 2, clip: 1.0}}\n"
    file.write_text("---\n".join(run.format(seed) for seed in (0, 1)))
    assert cli.run(["evaluate", "--config", str(file)]) == 0
    assert [(cfg["seed"], out) for _, cfg, out in calls] == [
        (0, Path("run-0")),
        (1, Path("run-1")),
    ]
    assert all(set(cfg) == {"seed", "out", "trainer"} for _, cfg, _ in calls)


def test_nothing_runs_when_a_later_document_is_bad(
    calls: list[tuple[str, dict[str, object], Path]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "runs.yaml"
    file.write_text("seed: 0\nout: a\ntrainer: {steps: 1}\n---\nseed: 1\nout: b\n")
    assert "trainer.steps: missing" in fails("train", "--config", str(file), capsys=capsys)
    assert calls == []


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["trian"], "trian: no such stage or tool; did you mean train?"),
        (["comapre"], "did you mean compare?"),
        (["__init__"], "__init__: no such stage"),
        (["../config"], "../config: no such stage"),
        (["train", "--config"], "--config: takes one file"),
        (["train", "--config", "a", "seed=1"], "--config: takes one file"),
        (["train", "--config", "none.yaml"], "none.yaml: cannot be read"),
        (["train", "trainer.stepz=1"], "trainer.stepz: unknown key"),
    ],
)
def test_mistakes(argv: Sequence[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert message in fails(*argv, capsys=capsys)


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (InputError("two\nlines"), 2, "tcsm: error: two lines\n"),
        (KeyboardInterrupt(), 130, "tcsm: interrupted"),
    ],
)
def test_how_a_stage_may_end(
    error: BaseException,
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def main(cfg: DictConfig, out: Path) -> None:
        raise error

    stage = SimpleNamespace(READS=("out",), main=main)
    monkeypatch.setattr(cli, "importlib", SimpleNamespace(import_module=lambda name: stage))
    assert cli.run(["train"]) == code
    assert capsys.readouterr().err.startswith(said)


@pytest.mark.parametrize(("resumes", "advice"), [(True, "to resume"), (False, "starts over")])
def test_an_interruption_says_what_the_same_command_will_do(
    resumes: bool, advice: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def main(cfg: DictConfig, out: Path) -> None:
        raise KeyboardInterrupt

    stage = SimpleNamespace(READS=("out",), main=main, RESUMES=resumes)
    monkeypatch.setitem(sys.modules, "tcsm.stages.train", stage)
    monkeypatch.setattr(cli, "importlib", SimpleNamespace(import_module=lambda name: stage))
    assert cli.run(["train"]) == 130
    assert advice in capsys.readouterr().err


def test_ctrl_c_while_modules_are_imported_is_one_line() -> None:
    code = """
import builtins, sys
own = builtins.__import__
def interrupted(name, *rest):
    if name == "hydra":
        raise KeyboardInterrupt
    return own(name, *rest)
builtins.__import__ = interrupted
from tcsm.__main__ import run
sys.exit(run(["train"]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, len(done.stderr.splitlines())) == (130, 1)
    assert done.stderr.startswith("tcsm: interrupted")


@pytest.mark.parametrize(("rank", "locks"), [("0", [".train.lock"]), ("1", [])])
def test_a_stage_works_alone_and_the_ranks_of_one_training_are_one(
    rank: str, locks: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: dict[str, list[str]] = {}

    def note(when: str) -> None:
        seen[when] = [path.name for path in tmp_path.rglob("*.lock")]

    stage = SimpleNamespace(
        READS=("out", "scratch"),
        main=lambda cfg, out: note("main"),
        cleanup=lambda cfg: note("cleanup"),
    )
    monkeypatch.setattr(cli, "importlib", SimpleNamespace(import_module=lambda name: stage))
    monkeypatch.setenv("RANK", rank)
    assert cli.run(["train", f"out={tmp_path}/out", f"scratch={tmp_path}/scratch"]) == 0
    note("end")
    assert seen == {"main": locks, "cleanup": locks, "end": []}


@pytest.mark.slow
def test_help_names_the_stages_without_importing_them() -> None:
    code = "import sys, tcsm.__main__ as m; m.run(['--help']); sys.exit('torch' in sys.modules)"
    top = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=top, capture_output=True, text=True, check=True
    )
    listed = done.stdout.split("stages:\n")[1].split("\n\n")[0]
    assert [line.split()[0] for line in listed.splitlines()] == list(STAGES)


def test_no_arguments_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([]) == 2
    assert capsys.readouterr().out.startswith("usage: tcsm STAGE")
