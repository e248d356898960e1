"""How a rule starts a stage, and what its job must hold."""

import os
import re
import signal
import sys

# Snakemake's interpreter runs the jobs. It is no parameter of a rule: another path to the same
# environment reruns nothing.
os.environ["TCSM_PYTHON"] = sys.executable

# A scheduler warns every process of a job that its time runs out, and Snakemake would die of it.
# Ignored here it is ignored in all that a job starts; a training takes note of it by itself.
signal.signal(signal.SIGUSR1, signal.SIG_IGN)


def command(stage: str) -> str:
    """The shell of a rule: configuration from standard input, words to the log and the screen.

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
    """How many processes the runs of a configuration want, on all nodes: a core and a GPU each."""
    wanted = re.findall(r"(?m)^  processes: (\d+)\n  nodes: (\d+)$", text)
    return max((int(each) * int(nodes) for each, nodes in wanted), default=1)
