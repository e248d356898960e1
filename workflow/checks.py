"""Checks: the parts of arms are built in a process of their own, while other arms are composed.

Building takes torch and all that a run imports: seconds, on a core that a start leaves idle.
"""

import importlib
import json
import multiprocessing
import signal
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from typing import Any

from omegaconf import OmegaConf

from tcsm import config
from tcsm.errors import InputError

KILLED = "the process that checks the arms was killed (no memory left?); start again"


class Checks:
    """Builds what it is given on torch's meta device, each part once.

    Args:
        early: import what building needs once there is something to build, asked for or not.
    """

    def __init__(self, early: bool = False) -> None:
        self.early = early
        self._pool: ProcessPoolExecutor | None = None
        self._known: set[tuple[str, str]] = set()
        self._told: list[Future[None]] = []

    def begin(self) -> None:
        """Something is composed anew, and will have to be built: import torch meanwhile."""
        if self.early and self._pool is None:
            self._ask(_import_torch)

    def prepare(self, parts: Mapping[str, str]) -> None:
        """Import what these parts need, if it is early. Whether they are right is asked later."""
        if self.early:
            self.early = False
            self._ask(_try, parts)

    def add(self, parts: Mapping[str, str]) -> None:
        """Ask whether these parts are right, each the JSON of what a key holds."""
        fresh = {key: text for key, text in parts.items() if (key, text) not in self._known}
        if fresh:
            self._known |= fresh.items()
            self._told.append(self._ask(_build, fresh))

    def add_whole(self, tree: Mapping[str, Any], leave: tuple[str, ...]) -> None:
        """Ask whether a tree is right whose interpolations OmegaConf must see to."""
        self._told.append(self._ask(_build_whole, tree, leave))

    def finish(self) -> None:
        """Wait until all is built.

        Raises:
            InputError: the first that cannot be; or the process was killed.
        """
        try:
            for told in self._told:
                told.result()
        except BrokenProcessPool:
            raise InputError(KILLED) from None
        finally:
            if self._pool is not None:
                self._pool.shutdown(cancel_futures=True)
            self._pool, self._told = None, []

    def _ask(self, work: Callable[..., None], *given: object) -> Future[None]:
        try:
            return self._process().submit(work, *given)
        except BrokenProcessPool:
            raise InputError(KILLED) from None

    def _process(self) -> ProcessPoolExecutor:
        """Forked: the imports of this process need not be made again."""
        if self._pool is None:
            context = multiprocessing.get_context("fork")
            self._pool = ProcessPoolExecutor(1, context, _stop_when_asked)
        return self._pool


def _stop_when_asked() -> None:
    """The parent's handlers are not for this process."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def _import_torch() -> None:
    importlib.import_module("torch")  # a module could not be sent back


def _build(parts: Mapping[str, str]) -> None:
    import torch  # noqa: PLC0415 -- seconds that the parent need not spend

    with torch.device("meta"):
        config.check_parts({key: json.loads(text) for key, text in parts.items()})


def _build_whole(tree: Mapping[str, Any], leave: tuple[str, ...]) -> None:
    import torch  # noqa: PLC0415

    with torch.device("meta"):
        config.check(OmegaConf.create(dict(tree)), leave)


def _try(parts: Mapping[str, str]) -> None:
    with suppress(InputError):
        _build(parts)
