"""What decides a training, and what does not: by that it knows its saved state and its results."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from tcsm.data.buffer import WEIGHTS
from tcsm.data.tokenfile import TokenFile
from tcsm.training.devices import Devices
from tcsm.training.identity import CONTENT, Identity, Value

# Names and places, and what only says when something is saved or given up. The contents of files
# and folders are compared instead of what they are called.
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
)
# A stopped training goes on with other values of these: they decide how long it lasts, what is
# recorded, and how numbers are rounded.
SOFT = (
    "trainer.steps",
    "trainer.log_every",
    "validation.every",
    "threads",
    "devices.choice",
    "devices.precision",
    "devices.compiled",
)
PROCESSES = "devices.processes"  # weights in parts fit the same number of them alone


def identity(cfg: DictConfig, contents: Mapping[str, Value]) -> Identity:
    """What decides a training.

    Args:
        cfg: its configuration.
        contents: by key, digests of what the configuration names, and how many processes work.
    """
    values = dict(_leaves(OmegaConf.to_container(cfg, resolve=True), ""))
    values["threads"] = values.pop("devices.threads", None)
    if values.get("targets.cache") is not None:
        values["targets.cache"] = "a folder"  # answers are rounded then, wherever it lies
    soft = SOFT if values.get("devices.sharded") else (*SOFT, PROCESSES)
    return Identity({**values, **contents}, frozenset(soft))


def contents(
    cfg: DictConfig,
    devices: Devices,
    splits: tuple[TokenFile, ...],
    models: Mapping[str, str],
) -> dict[str, Value]:
    """What the files and folders hold that a configuration names, as digests.

    Args:
        cfg: the configuration.
        devices: where it computes.
        splits: the text that it reads.
        models: key → digest of the weights that it names.
    """
    found = {
        "corpus": "".join(split.header.sha256 for split in splits).encode(),
        "tokenizer": splits[0].header.fingerprint.encode(),
        **{key: text.encode() for key, text in models.items() if text},
    }
    if cfg.collected is not None:
        found["collected"] = (Path(cfg.collected) / WEIGHTS).read_bytes()
    digests = {key: CONTENT + hashlib.sha256(part).hexdigest() for key, part in found.items()}
    return {**digests, PROCESSES: devices.world}


def _leaves(node: object, key: str) -> Iterator[tuple[str, Value]]:
    """Every value below a node that decides something, with its dotted key; lists as one text."""
    if key in NAMES:
        return
    if isinstance(node, dict):
        for name, child in node.items():
            yield from _leaves(child, f"{key}.{name}".lstrip("."))
    elif isinstance(node, list):
        yield key, str(node)
    elif node is None or isinstance(node, str | int | float):
        yield key, node
