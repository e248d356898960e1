"""How a rule starts a stage, and what its job needs."""

import argparse
import os
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

NO_GROUP = "local"  # Snakemake says so

TOP = str(Path(__file__).resolve().parents[1])


def set_environment() -> None:
    """Set what all jobs of this process inherit: interpreter, module path, a signal to ignore."""
    # Snakemake's interpreter runs the jobs. It is no parameter of a rule: another path to the same
    # environment reruns nothing.
    os.environ["TCSM_PYTHON"] = sys.executable
    # Jobs start in the work directory, which `snakemake -s .../Snakefile -d` may put anywhere.
    # First, as for Snakemake itself: the code that was planned runs, whatever else is installed.
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    others = [path for path in paths if path and path != TOP]
    os.environ["PYTHONPATH"] = os.pathsep.join([TOP, *others])
    # A scheduler warns every process of a job that its time runs out, and Snakemake would die of
    # it. Ignored here it is ignored in all that a job starts; a training notices it by itself.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)


def know_the_group(arguments: Sequence[str]) -> None:
    """Keep the saved states of jobs of a group: if one fails, Snakemake runs all of them again.

    The process that sent the group removes it in the end, `workflow.files.Files.tidy`.

    Args:
        arguments: of Snakemake, whose settings do not contain the group while a workflow is read.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--local-groupid", default=NO_GROUP)
    if parser.parse_known_args(arguments)[0].local_groupid != NO_GROUP:
        os.environ["TCSM_KEEP_SCRATCH"] = "1"  # tcsm/stages/train.py


def command(stage: str) -> str:
    """Return the shell of a rule: configuration from standard input, output to log and screen.

    Shell and ``tee`` outlive a SIGTERM that all processes get: a training still has to save its
    state and to say so. The shell then exits as the stage did.
    """
    return (
        "trap : TERM; "
        "printf '%s' {params.config:q}"
        f' | "$TCSM_PYTHON" -m workflow.warm {stage} --config - 2>&1'
        " | (trap '' TERM; exec tee -i {log:q} >&2)"
    )


def processes(text: str) -> int:
    """Return the number of processes of a configuration, on all nodes: a core and a GPU each."""
    return max(each * nodes for each, nodes in _wanted(text))


def on_a_node(text: str) -> int:
    """Return how many of them share a node and its memory."""
    return max(each for each, _ in _wanted(text))


def _wanted(text: str) -> list[tuple[int, int]]:
    found = re.findall(r"(?m)^  processes: (\d+)\n  nodes: (\d+)$", text)
    return [(int(each), int(nodes)) for each, nodes in found] or [(1, 1)]
