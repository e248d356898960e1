"""Entry point of ``tcsm`` and ``python -m tcsm``, which run `tcsm.commands`.

It imports nothing else at the top, so that Ctrl-C is caught from the start.
"""

import sys
from collections.abc import Sequence

INTERRUPTED = 130


def run(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code, as `tcsm.commands.run` does."""
    try:
        from tcsm import commands  # noqa: PLC0415 -- takes a second
    except KeyboardInterrupt:
        print("tcsm: interrupted; start the same command again", file=sys.stderr)
        return INTERRUPTED
    return commands.run(argv)


if __name__ == "__main__":
    sys.exit(run())
