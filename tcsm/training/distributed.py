"""Ranks of a distributed training: exit codes, and one line on why a training ended.

When one rank dies, the others fail because they lose it. Their agent (torchrun's) therefore
reports the failure of one rank only, the one that caused the others.
"""

import ctypes
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from tcsm.errors import InputError

ROLE = "tcsm"  # role of the ranks that an agent of this package starts
RESUME = "start the same command again to resume"
BAD_INPUT, PREEMPTED, INTERRUPTED = 2, 75, 130  # exit codes; 75 is EX_TEMPFAIL, try again later
LOST = "lost another process"
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of linux/prctl.h


def rank() -> int:
    """Return the rank of this process, from 0."""
    return int(os.environ.get("RANK", "0"))


def world_size() -> int:
    """Return the number of processes that share the work: as torchrun sets it, else 1."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def has_agent() -> bool:
    """Return whether this process is a rank that an agent of this package started."""
    return os.environ.get("ROLE_NAME") == ROLE


def attach_to_agent() -> None:
    """Let a rank die with its agent and report its uncaught errors; no-op elsewhere."""
    if not has_agent():
        return
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    sys.excepthook = _report


def require_single(runs: object) -> None:
    """Refuse several processes for work that is not shared.

    Raises:
        InputError: The world size is above 1.
    """
    if world_size() > 1:
        raise InputError(
            "torchrun: only the training of a model is shared by processes; start one"
        )


def report(words: str) -> None:
    """Report why this process ends: to its agent if it has one, else on stderr."""
    if has_agent():
        message = {"message": words, "timestamp": int(time.time())}
        Path(os.environ["TORCHELASTIC_ERROR_FILE"]).write_text(json.dumps(message), "utf-8")
    else:
        print(words, file=sys.stderr)


def print_reports(logs: str) -> bool:
    """Print the first report of the ranks; return whether there is one."""
    for path in sorted(Path(logs).rglob("error.json")):
        print(json.loads(path.read_text("utf-8"))["message"], file=sys.stderr)
        return True
    return False


def explain_failures(codes: Mapping[int, int], words: Mapping[int, str]) -> int:
    """Print on stderr why ranks failed; return the exit code of the training.

    Args:
        codes: Exit code of each rank that failed; negative where a signal killed it.
        words: The report of each such rank.
    """

    def guilt(one: int) -> tuple[bool, ...]:
        code = codes[one]
        killed = code < 0 and code != -signal.SIGTERM  # SIGTERM is sent by the agent itself
        lost = LOST in words[one] or code == -signal.SIGTERM
        return (code != BAD_INPUT, code != PREEMPTED, not killed, lost)

    blamed = min(codes, key=guilt)
    code = codes[blamed]
    if code == PREEMPTED:
        return code
    if code < 0:
        name = signal.Signals(-code).name
        print(f"tcsm: error: process {blamed} died of {name}; {RESUME}", file=sys.stderr)
        return 1
    print(words[blamed], file=sys.stderr)
    return code


def lost_process(error: BaseException) -> str:
    """Return the message for an error that means a lost process; "" for any other error."""
    gone = "gloo" in str(error).lower() or type(error).__name__.startswith("Dist")
    if gone and (has_agent() or world_size() > 1):
        return f"process {rank()} {LOST}; {RESUME}"
    return ""


def _report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Report an uncaught exception: a lost process in one line, any other with its traceback."""
    words = lost_process(error)
    trail = "".join(traceback.format_exception(kind, error, trace)).rstrip()
    report(f"tcsm: error: {words}" if words else trail)
