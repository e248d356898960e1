"""A stage of dvc.yaml: ask Snakemake for some targets, unless results came from elsewhere.

Snakemake would take such results for up to date, and DVC would write them into dvc.lock beside
parameters that did not make them. They are refused.

usage: python -m workflow.scripts.reproduce SCALE [TARGET ...]     (from the top of the checkout)
"""

import signal
import subprocess
import sys
from pathlib import Path

from tcsm.errors import InputError
from workflow.scripts.own import note, require_own

ASK = "snakemake --cores all --workflow-profile workflow/profiles/default"


def main(scale: str, targets: list[str]) -> int:
    """Run Snakemake, note what it made before DVC replaces it by links; return the exit code."""
    folder = Path("results") / scale
    require_own(folder)
    command = [*ASK.split(), "--config", f"scale={scale}", "--", *targets]
    with subprocess.Popen([sys.executable, "-m", *command]) as running:
        signal.signal(signal.SIGINT, lambda *_: None)  # it goes to both, and Snakemake ends by it
        signal.signal(signal.SIGTERM, lambda *_: running.terminate())
        code = running.wait()
    if code == 0:
        note(folder)
    return code


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1], sys.argv[2:]))
    except InputError as error:
        sys.exit(f"tcsm: error: {error}")
