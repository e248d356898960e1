"""Unexpected exceptions as one line: class, message, and the line of code that raised."""

import os

import yaml

from tcsm.config.allowed import last_line, packages
from tcsm.errors import InputError

DEBUG = "TCSM_DEBUG"
COMPILERS = ("torch._inductor", "torch._dynamo", "triton")
MEMORY = ("can't allocate memory", "not enough memory", "out of memory", "std::bad_alloc")


def debugged() -> bool:
    """Return whether the user asks for tracebacks: ``TCSM_DEBUG=1``."""
    return os.environ.get(DEBUG, "0") not in ("", "0")


def describe(error: BaseException) -> str:
    """Return the line for an unexpected exception, with advice where there is any."""
    message = words(error)
    if out_of_memory(error):
        return (
            f"out of memory ({message}); make smaller what is in memory at once: data.batch, net, "
            "evaluation.batch, sampling.count or collecting.batch; or raise trainer.accumulate"
        )
    if type(error).__module__.startswith(COMPILERS):
        message += "; devices.compiled=false does without compiling"
    if isinstance(error, UnicodeError):
        message += "; PYTHONUTF8=1 has Python read and write names as UTF-8"
    place = raised_at(error)
    return message + (f" ({place})" if place else "") + f"; {DEBUG}=1 shows the traceback"


def words(error: BaseException) -> str:
    """Return the first line of an exception's message, after its class unless it is InputError."""
    lines = [" ".join(line.split()) for line in str(error).splitlines() if line.strip()]
    if isinstance(error, InputError) and lines:
        return " ".join(lines)
    return ": ".join([type(error).__name__, *lines[:1]])


def out_of_memory(error: BaseException) -> bool:
    """Return whether an exception means that memory ran out."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in MEMORY)
    )


def raised_at(error: BaseException) -> str:
    """Return ``FILE:LINE`` of the user's own code that raised, else of this package's, else ""."""
    package, *users = packages()
    return last_line(error, users) or last_line(error, [package])


def first_line(error: BaseException) -> str:
    """Return the first line of a library's message; its other lines hold object addresses.

    Messages of our own and of YAML are joined to one line.
    """
    whole = isinstance(error, InputError | yaml.YAMLError)
    text = str(error) if whole else str(error).split("\n")[0]
    return " ".join(text.split()) or type(error).__name__
