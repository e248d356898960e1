"""The identity of a training: the values and contents that decide it."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from torch import nn

from tcsm.config import leaves
from tcsm.io.layout import REWARDS
from tcsm.io.records import Record
from tcsm.objectives.base import Objective, ReferenceObjective
from tcsm.training.checkpoint import digest
from tcsm.training.devices import Devices
from tcsm.training.identity import CONTENT, Identity, Value
from tcsm.training.state import named_tensors

# Names, places, and intervals of saving and waiting do not decide a run. The contents of files
# and folders are compared instead of their names.
NAMES = (
    "experiment",
    "axes",
    "overrides",
    "out",
    "scratch",
    "data.root",
    "corpus",
    "tokenizer",
    "initial",
    "reference",
    "collected",
    "teacher_run",
    "targets.limit_mib",
    "count_failures",
    "trainer.checkpoint_every",
    "devices.nodes",
    "devices.patience",
    "logger",
)
# A training can resume with other values of these keys: they decide its length, its records, the
# rounding of numbers and, beyond that, the size of a step.
SOFT = (
    "trainer.steps",
    "trainer.accumulate",
    "data.batch",
    "trainer.log_every",
    "validation.every",
    "threads",
    "devices.choice",
    "devices.precision",
    "devices.compiled",
    "devices.recomputed",
)
# Keys that are null, or missing from older files.
OF_OTHERS = ("world", "tilting", "labels", "classifier", "half", "objective.top")
PROCESSES = "devices.processes"  # sharded states fit the same number of processes only


def identity(configuration: Record, contents: Mapping[str, Value]) -> Identity:
    """Return the identity of a training.

    Args:
        configuration: Its configuration, as plain values.
        contents: By key, digests of files and folders, and the number of processes.
    """
    values: dict[str, Value] = {
        key: str(value) if isinstance(value, list) else value
        for key, value in leaves(configuration, "")
        if not f"{key}.".startswith(tuple(f"{name}." for name in NAMES))
    }
    values["threads"] = values.pop("devices.threads", None)
    for key in OF_OTHERS:
        if values.get(key, "") is None:
            del values[key]
    if values.get("targets.cache") is not None:
        values["targets.cache"] = "a folder"  # any cache rounds the teacher's values
    soft = SOFT if values.get("devices.sharded") else (*SOFT, PROCESSES)
    return Identity({**values, **contents}, frozenset(soft))


def contents(
    collected: str | None, devices: Devices, digests: Mapping[str, str]
) -> dict[str, Value]:
    """Return digests of the files and folders that a configuration names.

    Args:
        collected: Folder of a collection, or None.
        devices: Devices of the run.
        digests: Key → digests of the text and of the weights that it names; empty if it names
            none.
    """
    content_of = {key: text.encode() for key, text in digests.items() if text}
    if collected is not None:
        content_of["collected"] = (Path(collected) / REWARDS).read_bytes()
    hashed = {key: CONTENT + hashlib.sha256(part).hexdigest() for key, part in content_of.items()}
    return {**hashed, PROCESSES: devices.world}


def weights_named(model: nn.Module, objective: Objective) -> dict[str, str]:
    """Return key → digest of the initial weights and of the reference's weights."""
    digests = {"initial": digest(named_tensors(model))}
    if isinstance(objective, ReferenceObjective):
        digests["reference"] = digest(named_tensors(objective.require_reference()))
    return digests
