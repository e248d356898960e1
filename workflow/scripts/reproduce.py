"""A stage of dvc.yaml: ask Snakemake for some targets, unless results came from elsewhere.

Snakemake would take such results for up to date, and DVC would write them into dvc.lock beside
parameters that did not make them. They are refused.

usage: python -m workflow.scripts.reproduce SCALE [TARGET ...]     (from the top of the checkout)
"""

import os
import sys

from tcsm.errors import InputError
from workflow.scripts.own import require_own

ASK = "-m snakemake --cores all --workflow-profile workflow/profiles/default --config"

if __name__ == "__main__":
    scale, *targets = sys.argv[1:]
    try:
        require_own(scale)
    except InputError as error:
        sys.exit(f"tcsm: error: {error}")
    os.execv(sys.executable, [sys.executable, *ASK.split(), f"scale={scale}", "--", *targets])
