"""How a rule starts a stage."""

import os
import sys

# Snakemake's interpreter runs the jobs. It is no parameter of a rule: another path to the same
# environment reruns nothing.
os.environ["TCSM_PYTHON"] = sys.executable


def command(stage: str) -> str:
    """The shell of a rule: configuration from standard input, words to the log and the screen."""
    return (
        f"printf '%s' {{params.config:q}} | \"$TCSM_PYTHON\" -m tcsm {stage} --config - 2>&1"
        " | tee -i {log:q} >&2"
    )
