"""The time that a workflow still needs, in Snakemake's line of finished jobs."""

import time
from collections.abc import Collection
from typing import Any

from snakemake.logging import DefaultFormatter, logger


def progress(done: int, total: int, seconds: float) -> str:
    """Return ``12 of 49 jobs done, about 13 min left``, as if jobs went on ending at this rate.

    Jobs differ in length, so that the first estimates are rough.
    """
    if done == total:
        return f"{total} of {total} jobs done in {_duration(seconds)}"
    left = f", {_duration(seconds * (total - done) / done)} left" if done else ""
    return f"{done} of {total} jobs done{left}"


def show_time_left() -> None:
    """Write `progress`, counted from now, wherever Snakemake writes its own line."""
    for handler in logger.handlers:
        if type(handler.formatter) is DefaultFormatter:
            own = handler.formatter
            handler.setFormatter(_Formatter(own.quiet, own.show_failed_logs))


class _Formatter(DefaultFormatter):  # type: ignore[misc]  # Snakemake has no types
    def __init__(self, quiet: Collection[Any], show_failed_logs: bool) -> None:
        super().__init__(quiet, show_failed_logs)
        self._start = time.monotonic()

    def format_progress(self, msg: dict[str, Any]) -> str:
        return progress(msg["done"], msg["total"], time.monotonic() - self._start)


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return "less than a minute"
    return f"about {minutes} min" if minutes < 100 else f"about {minutes / 60:.1f} h"
