"""Allowed targets: the code that a configuration may name.

A configuration may come from elsewhere, such as the ``config.yaml`` of a pulled run. A dotted name
in it must lead to an object that is defined in ``tcsm``, or in a package that the environment
variable ``TCSM_TARGETS`` names; no configuration can set that variable. An object that a module
only imports is not defined in it.
"""

import os
import pkgutil
import traceback
from collections.abc import Iterable, Iterator
from typing import Any

from tcsm.errors import InputError

VARIABLE = "TCSM_TARGETS"


def packages() -> tuple[str, ...]:
    """Return ``tcsm`` and the packages of ``TCSM_TARGETS=package,another.module``."""
    allowed = os.environ.get(VARIABLE, "").split(",")
    return ("tcsm", *filter(None, map(str.strip, allowed)))


def find(key: str, name: str) -> Any:  # noqa: ANN401 -- any object of a trusted package
    """Return the object of a dotted name, without importing anything of another package.

    Args:
        key: Key of the configuration that holds the name.
        name: "package.module.Name" or "package.module:name".

    Raises:
        InputError: The name belongs to another package, or cannot be imported.
    """
    trusted = packages()
    if not _within(name.replace(":", "."), trusted):
        raise InputError(
            f"{key}: found {name}; it must start with 'tcsm.', or with a package that the "
            f"environment variable {VARIABLE} names"
        )
    try:
        value = pkgutil.resolve_name(name)
    except Exception as error:  # a module of the user's may fail in any way
        place = last_line(error, trusted[1:])
        reason = f"{type(error).__name__}: {error}" + (f", {place}" if place else "")
        raise InputError(f"{key}: {name} cannot be imported ({reason})") from error
    home = str(getattr(value, "__module__", type(value).__module__))
    if not _within(home, trusted):
        raise InputError(f"{key}: {name} is of {home}, not of {' or '.join(trusted)} itself")
    return value


def last_line(error: BaseException, owners: Iterable[str]) -> str:
    """Return ``FILE:LINE`` of the innermost line of some packages that raised, else "".

    The causes of an exception are searched before the exception itself; a syntax error gives its
    own place.
    """
    owners = list(owners)
    for cause in reversed(list(_causes(error))):
        frames = list(traceback.walk_tb(cause.__traceback__))
        for frame, number in reversed(frames):
            if _within(str(frame.f_globals.get("__name__")), owners):
                return f"{frame.f_code.co_filename}:{number}"
        if isinstance(cause, SyntaxError) and owners:
            return f"{cause.filename}:{cause.lineno}"
    return ""


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the exception and those that it was raised from, the first cause last."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)


def _within(name: str, trusted: Iterable[str]) -> bool:
    """Return whether a dotted name is that of one of the packages or lies below it."""
    return any(f"{name}.".startswith(f"{package}.") for package in trusted)
