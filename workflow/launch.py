"""How a rule starts a stage."""

import atexit
import os
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

TOP = str(Path(__file__).resolve().parents[1])


def set_environment(arguments: list[str]) -> None:
    """Set what all jobs of this process inherit, which Snakemake started with some arguments."""
    # Snakemake's interpreter runs the jobs. It is no parameter of a rule: another path to the same
    # environment reruns nothing.
    os.environ["TCSM_PYTHON"] = sys.executable
    # Jobs start in the work directory, which `snakemake -s .../Snakefile -d` may put anywhere.
    # First, as for Snakemake itself: the code that was planned runs, whatever else is installed.
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [TOP, os.environ.get("PYTHONPATH")]))
    # A scheduler warns every process of a job that its time runs out, and Snakemake would die of
    # it. Ignored here it is ignored in all that a job starts; a training notices it by itself.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    # If a job of a group fails, Snakemake runs all of them again: the saved states of complete
    # trainings stay until the process that sent the group ends.
    if dict(pairwise(arguments)).get("--local-groupid", "local") != "local":
        os.environ["TCSM_KEEP_SCRATCH"] = "1"  # tcsm/stages/train.py


def watch(scale: str, out: str) -> None:
    """Start a report of the finished runs of a scale, made anew as others end; it ends with us."""
    report = [sys.executable, "-m", "tcsm", "report", f"runs=[results/{scale}]", f"out={out}"]
    process = subprocess.Popen([*report, f"scale={scale}", "--live"], stdout=subprocess.DEVNULL)
    atexit.register(process.terminate)
    print(f"live: {out}/index.html", file=sys.stderr)


def command(stage: str) -> str:
    """Return the shell of a rule: configuration from standard input, output to log and screen.

    Shell and ``tee`` outlive a SIGTERM that all processes get: a training still has to save its
    state and to say so. The shell then exits as the stage did.
    """
    return (
        "trap : TERM; printf '%s' {params.config:q}"
        f' | "$TCSM_PYTHON" -m tcsm {stage} --config - 2>&1'
        " | (trap '' TERM; exec tee -i {log:q} >&2)"
    )
