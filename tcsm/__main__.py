"""Where ``tcsm`` and ``python -m tcsm`` begin; `tcsm.commands` does all that they do.

Nothing else is imported before Ctrl-C is heeded.
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
