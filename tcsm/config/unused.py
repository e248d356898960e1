"""Unused overrides: parts of a configuration that an override sets and nothing reads."""

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from tcsm.errors import InputError

# No stage reads these keys itself: they are used only by interpolations such as ${divergence}.
PARTS = (
    "corruption",
    "divergence",
    "neighborhood",
    "net",
    "path",
    "schedule",
    "scoring",
    "soft",
    "teacher",
    "tilt",
    "weighting",
)


def require_read(
    overrides: Sequence[str], cfg: DictConfig, reads: Iterable[str], params: Path
) -> None:
    """Refuse an override of a part that nothing in the run reads.

    Args:
        overrides: Overrides of the command line.
        cfg: The configuration that they compose, interpolations unresolved.
        reads: Keys that the stage itself reads.
        params: The folder of the configuration.

    Raises:
        InputError: An unused override, with the choices that would read its part.
    """
    plain = OmegaConf.to_container(cfg, resolve=False)
    assert isinstance(plain, dict)
    read = reached(plain, {key.partition(".")[0] for key in reads})
    for override in overrides:
        part = re.split(r"[.=]", override.lstrip("+"))[0]
        if part in PARTS and part not in read:
            readers = ", ".join(_readers(part, params))
            others = _others(override.lstrip("+").partition("=")[2], read, params)
            raise InputError(
                f"{override}: nothing in this run reads {part}; it needs {readers}{others}"
            )


def reached(plain: dict[Any, Any], reads: set[str]) -> set[str]:
    """Return the keys that are read, directly or through interpolations."""
    keys = {str(key) for key in plain if key not in PARTS} | reads
    waiting = list(keys)
    while waiting:
        text = json.dumps(plain.get(waiting.pop()), default=str)
        fresh = set(re.findall(r"\$\{(\w+)", text)) - keys
        keys |= fresh
        waiting += fresh
    return keys


def _others(choice: str, read: set[str], params: Path) -> str:
    """Return a hint on the parts that are read and have such a choice."""
    parts = (p for p in PARTS if p in read and (params / p / f"{choice}.yaml").is_file())
    return "".join(f"; this run reads {part}={choice}" for part in parts)


def _readers(part: str, params: Path) -> list[str]:
    """Return the choices whose files refer to a part."""
    return [
        f"{path.parent.name}={path.stem}"
        for path in sorted(params.glob("*/*.yaml"))
        if f"${{{part}}}" in path.read_text("utf-8")
    ]
