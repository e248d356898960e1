"""Check golden vectors: python -m tests.golden FILE.json [FILE.json ...].

Prints the tally; the exit status is 1 if a number differs or a kind of case is unknown.
"""

import json
import sys
from pathlib import Path

from tests.golden.runner import check


def main(paths: list[str]) -> int:
    if not paths:
        print(__doc__)
        return 2
    status = 0
    for path in paths:
        verdict = check(json.loads(Path(path).read_text()))
        print(verdict)
        status = max(status, int(not verdict.good))
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
