"""The command line: ``tcsm STAGE [KEY=VALUE ...]``, or ``--config FILE``, and ``tcsm TOOL ...``.

A stage is a module of ``tcsm/stages``; a new file there is a new command. Its names are:

* ``READS``: the keys of the configuration that it reads.
* ``main(cfg, out)``: does the work.
* ``WRITES`` (optional): keys of the folders that it writes, ``("out",)`` by default.
* ``OF`` (optional): keys that may hold the folder of a trained run; the configuration of that run
  is then the default.
* ``ANEW`` (optional): keys of that configuration that the stage may set otherwise.
* ``RESUMES`` (optional): whether the stage resumes its work after an interruption.
* ``launch(runs)`` (optional): lets other processes do all the work; returns their exit code, or
  None to work here.
* ``cleanup(cfg)`` (optional): called when all runs of the command have ended.
* ``spelled(arguments)`` (optional): returns overrides for arguments that are spelled otherwise.
* ``printed(run)`` (optional): returns lines for standard output: the numbers, and what to type
  next.

A tool is a module of ``tcsm/tools``, which runs no stage.
"""

import gc
import importlib
import sys
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from tcsm import config
from tcsm.config import unexpected
from tcsm.config.signatures import near
from tcsm.console import require_characters, steady
from tcsm.errors import InputError
from tcsm.io.atomic import require_folder
from tcsm.io.lock import file_lock
from tcsm.listing import described
from tcsm.runs.run import Run
from tcsm.tools.config import composed
from tcsm.training import distributed

USAGE = """usage: tcsm STAGE [KEY=VALUE ...]     compose the run from params/ and these overrides
       tcsm STAGE --config FILE      run each document of a YAML file ("-" is standard input)
       tcsm STAGE --help             its keys, groups and choices

stages:
{stages}

tools:
{tools}

examples:
  tcsm prepare
  tcsm train experiment=kjv/score trainer.steps=200 out=results/mine
  tcsm evaluate results/mine
  tcsm sample results/mine --prompt "in the beginning " --watch
  tcsm compare results/mine results/other

A run's files are in its folder, out=; without it results/by-hand/EXPERIMENT/seed-SEED. A training
that was killed resumes when the same command is started again. TCSM_DEBUG=1 shows the traceback of
an error.
"""
HELP = ("-h", "--help")
# Former stages, and what to type now.
FORMER = {
    "grade": "tcsm evaluate evaluation.run=FOLDER metric=[rewards]",
    "targets": "tcsm evaluate evaluation.run=FOLDER metric=[targets]",
    "pair": "tcsm collect preferences=FILE out=FOLDER",
    "reward": "tcsm train experiment=reward/testaments out=FOLDER",
    "exact": "tcsm train experiment=exact/joint, then tcsm evaluate out=FOLDER",
    "tilt": "tcsm train experiment=exact/tilt initial=FOLDER, then tcsm evaluate out=FOLDER",
}


def run(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, 2 for bad input, 130 for Ctrl-C, else 1."""
    distributed.attach_to_agent()
    with steady():
        return _run(list(sys.argv[1:] if argv is None else argv))


def _run(arguments: list[str]) -> int:
    names = [argument for argument in arguments if argument not in HELP]
    if not names or names == ["help"]:
        print(USAGE.format(stages=_lines("stages"), tools=_lines("tools")))
        return 0 if arguments else 2
    try:
        require_characters(arguments)
        return _command(names[0], names[1:], names != arguments)
    except Exception as error:
        if unexpected.debugged():
            raise
        return _refuse(error)
    except KeyboardInterrupt:
        distributed.report(f"tcsm: interrupted; {_advice(names[0])}")
        return distributed.INTERRUPTED


def _command(name: str, arguments: list[str], help_asked: bool) -> int:
    """Run a tool or a stage, or show the help of a stage; return the exit code."""
    tools = described("tools")
    if name in tools and help_asked:
        print(f"{tools[name]}\n{importlib.import_module(f'tcsm.tools.{name}').USAGE}")
        return 0
    if name in tools:
        return _run_tool(name, arguments)
    return _run_tool("help", [name]) if help_asked else run_stage(name, arguments)


def _lines(folder: str) -> str:
    return "\n".join(
        f"  {name:<12}{text.replace('``', '')}" for name, text in described(folder).items()
    )


def _run_tool(name: str, arguments: list[str]) -> int:
    code: int = importlib.import_module(f"tcsm.tools.{name}").main(arguments)
    return code


def _advice(name: str) -> str:
    """Return what the same command does after an interruption of a stage."""
    stage = sys.modules.get(f"tcsm.stages.{name}")
    if not hasattr(stage, "READS"):  # not imported yet
        return "start the same command again"
    return (
        distributed.RESUME if getattr(stage, "RESUMES", False) else "the same command starts over"
    )


def _refuse(error: Exception) -> int:
    """Report an error in one line; return the exit code."""
    if isinstance(error, InputError):
        distributed.report(f"tcsm: error: {unexpected.words(error)}")
        return distributed.BAD_INPUT
    distributed.report(
        f"tcsm: error: {distributed.lost_process(error) or unexpected.describe(error)}"
    )
    return 1


def run_stage(name: str, arguments: list[str]) -> int:
    """Run one stage and return its exit code.

    Raises:
        InputError: The arguments are invalid.
    """
    if name in FORMER:
        raise InputError(f"{name}: is no stage any more; type {FORMER[name]}")
    stages = described("stages")
    if name not in stages:
        known = near(name, [*stages, *described("tools")])
        raise InputError(f"{name}: no such stage or tool; {known}")
    gc.disable()  # all that an import makes stays; to look through it takes a sixth of its time
    try:
        stage = importlib.import_module(f"tcsm.stages.{name}")
    finally:
        gc.freeze()  # at the exit of the process, too
        gc.enable()
    runs = _runs(arguments, stage)
    with config.keys_as_set(runs[0]):
        return _work(name, stage, runs)


def _work(name: str, stage: Any, known: Iterable[DictConfig]) -> int:  # noqa: ANN401 -- a module
    runs = [config.cut(cfg, stage.READS) for cfg in known]
    _require_folders(runs, getattr(stage, "WRITES", ("out",)))
    for cfg in runs if "devices" in stage.READS else ():
        memory: Any = importlib.import_module("tcsm.runs.memory")  # imports torch
        memory.require_memory(Run(Path(cfg.out), cfg))
    code: int | None = getattr(stage, "launch", distributed.require_single)(runs)
    if code is not None:
        return code
    for cfg in runs:
        try:
            run = Run(Path(cfg.out), cfg)
            run.require_free(name)
            with _alone(name, cfg):
                stage.main(cfg, run.folder)
                _print_numbers(stage, run)
        except OSError as error:  # a full or forbidden disk
            reason = error.strerror or unexpected.words(error)
            raise InputError(f"{error.filename or cfg.out}: {reason}") from error
    for cfg in runs if hasattr(stage, "cleanup") else ():
        with _alone(name, cfg):
            stage.cleanup(cfg)
    return 0


def _print_numbers(stage: Any, run: Run) -> None:  # noqa: ANN401 -- a module
    """Print the numbers that a stage wrote, once where several processes share the work."""
    if hasattr(stage, "printed") and not distributed.rank():
        print("\n".join(stage.printed(run)))


def _require_folders(runs: Iterable[DictConfig], keys: Iterable[str]) -> None:
    """Check that the folders of some keys can be written.

    Raises:
        InputError: A folder cannot be written.
    """
    for key in keys:
        folders = {OmegaConf.select(cfg, key) for cfg in runs} - {None}
        for folder in sorted(folders):
            require_folder(key, Path(folder))


def _alone(name: str, cfg: DictConfig) -> AbstractContextManager[None]:
    """Return a lock of this stage of this run, shared by the ranks of one training."""
    if distributed.rank():
        return nullcontext()
    return file_lock(Run(Path(cfg.out), cfg).scratch / f".{name}.lock")


def _runs(arguments: list[str], stage: Any) -> list[DictConfig]:  # noqa: ANN401 -- a module
    if arguments[:1] != ["--config"]:
        return [composed(stage, arguments)]
    if len(arguments) != 2:
        raise InputError(f"--config: takes one file and nothing else, got {arguments[1:]}")
    documents = list(config.load(arguments[1]))
    for cfg in documents:  # a document is a complete run, without a command line
        OmegaConf.update(cfg, "overrides", cfg.get("overrides", []), force_add=True)
    return documents
