"""What a rank says to the agent that started it, and what the agent makes of it: one line.

Ranks fail together: when one dies, the others lose it. The agent tells of the one to blame.
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

ROLE = "tcsm"  # what our agent calls its ranks
RESUME = "start the same command again to resume"
BAD_INPUT, PREEMPTED, INTERRUPTED = 2, 75, 130  # exit codes; 75 is EX_TEMPFAIL, try again later
LOST = "lost another process"
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of linux/prctl.h


def rank() -> int:
    """Which of the processes that share the work this is, from 0."""
    return int(os.environ.get("RANK", "0"))


def world_size() -> int:
    """How many processes share the work: as many as torchrun says, else one."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def has_agent() -> bool:
    """Whether this process is a rank that our agent started."""
    return os.environ.get("ROLE_NAME") == ROLE


def attach_to_agent() -> None:
    """Makes a rank die with its agent, and tell it what goes wrong; does nothing in others."""
    if not has_agent():
        return
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    sys.excepthook = _report


def require_single(runs: object) -> None:
    """For work that is not shared.

    Raises:
        InputError: there are several processes.
    """
    if world_size() > 1:
        raise InputError("torchrun: only stage train is shared by processes; start one")


def report(words: str) -> None:
    """Says why this process ends: to its agent if it has one, else on stderr."""
    if has_agent():
        told = {"message": words, "timestamp": int(time.time())}
        Path(os.environ["TORCHELASTIC_ERROR_FILE"]).write_text(json.dumps(told), "utf-8")
    else:
        print(words, file=sys.stderr)


def print_reports(logs: str) -> bool:
    """Prints the first of what ranks have told; returns whether one has told anything."""
    for path in sorted(Path(logs).rglob("error.json")):
        print(json.loads(path.read_text("utf-8"))["message"], file=sys.stderr)
        return True
    return False


def explain_failures(codes: Mapping[int, int], words: Mapping[int, str]) -> int:
    """Says on stderr why ranks failed; returns the exit code of all.

    Args:
        codes: of each rank that failed; negative where a signal killed it.
        words: what it told.
    """

    def guilt(one: int) -> tuple[bool, ...]:
        code = codes[one]
        killed = code < 0 and code != -signal.SIGTERM  # which the agent itself sends
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
    """What to say of an exception that means that another process is gone; "" for any other."""
    gone = "gloo" in str(error).lower() or type(error).__name__.startswith("Dist")
    if gone and (has_agent() or world_size() > 1):
        return f"process {rank()} {LOST}; {RESUME}"
    return ""


def _report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What nobody caught: a peer that is gone in one line, anything else in full."""
    words = lost_process(error)
    trail = "".join(traceback.format_exception(kind, error, trace)).rstrip()
    report(f"tcsm: error: {words}" if words else trail)
