"""The plain keys of a run, which are no arguments of an object, and their allowed values."""

import os
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from tcsm.errors import InputError


@dataclass(frozen=True)
class Kind:
    """A kind of value: its name in messages and its test."""

    name: str
    holds: Callable[[object], bool]


COUNT = Kind("a whole number of 1 or more", lambda v: type(v) is int and v >= 1)
SEED = Kind("a whole number of 0 or more, below 2^63", lambda v: type(v) is int and 0 <= v < 2**63)
TEXT = Kind("a text", lambda v: isinstance(v, str) and v != "")
MAYBE_TEXT = Kind("a text or null", lambda v: v is None or TEXT.holds(v))
HALF = Kind("0, 1 or null", lambda v: v is None or (type(v) is int and v in (0, 1)))
FLAG = Kind("true or false", lambda v: type(v) is bool)
WORD = Kind(
    "of letters a-z, digits and _", lambda v: re.fullmatch(r"[a-z0-9_]+", str(v)) is not None
)
WORDS = Kind("a list of names of letters a-z, digits and _", lambda v: _all(v, WORD))
SEEDS = Kind("a list of whole numbers of 0 or more, below 2^63", lambda v: _all(v, SEED))
GPUS = Kind("a whole number of 0 or more", lambda v: type(v) is int and v >= 0)
TEXTS = Kind("a list of texts", lambda v: _all(v, TEXT))
# No machine runs more at once: CPUs of today have less than a thousand threads.
MOST_THREADS = max(1024, 4 * (os.cpu_count() or 1))
THREADS = Kind(
    f"a whole number from 1 to {MOST_THREADS}, or null",
    lambda v: v is None or (COUNT.holds(v) and int(str(v)) <= MOST_THREADS),
)
MOST_STEPS = 2**24  # networks read time in float32, which distinguishes no more steps
STEP = Kind(
    f"a whole number from 1 to {MOST_STEPS}",
    lambda v: COUNT.holds(v) and int(str(v)) <= MOST_STEPS,
)
STEPS = Kind(
    f"a list of whole numbers from 1 to {MOST_STEPS}", lambda v: v != [] and _all(v, STEP)
)
POSITIVE = Kind(
    "a number above 0, or null",
    lambda v: v is None or (type(v) in (int, float) and 0 < float(str(v)) < float("inf")),
)
PAIR = Kind("a pair of texts", lambda v: _all(v, TEXT) and len(v) == 2)  # type: ignore[arg-type]
PAIRS = Kind("a list of [subject, baseline]", lambda v: _all(v, PAIR))

# Keys of the text of a run, and all keys that are null in a toy world.
OF_TEXT = ("corpus", "tokenizer", "data.root", "bound")
NOT_OF_TOYS = (*OF_TEXT[:2], "bound", "reference", "collected", "teacher_run", "pretrained")
INSTEAD = ("world", "labels", "classifier")  # a run that names one of these reads no such text
# Keys that hold the folder of another run.
FOLDERS = ("reference", "base", "initial", "collected", "teacher_run", "reward_run", "judge_run")
# Keys and arguments that may hold a path.
PATHS = {"path", "paths", "file", "files", "folder", "folders", "name", "preferences", *FOLDERS}
ABSENT = object()
KINDS = {
    "count_failures": FLAG,
    "experiment": TEXT,
    "seed": SEED,
    "threads": THREADS,
    "scale.name": WORD,
    "scale.seeds": SEEDS,
    "scale.ablations": WORDS,
    "scale.gpu": GPUS,
    "out": TEXT,
    "scratch": TEXT,
    "judge": MAYBE_TEXT,
    "every_seed": FLAG,
    "stages": TEXTS,
    **dict.fromkeys(FOLDERS, MAYBE_TEXT),
    **{f"needs.{key}": MAYBE_TEXT for key in FOLDERS},
    "half": HALF,
    "preferences": MAYBE_TEXT,
    "targets.cache": MAYBE_TEXT,
    "targets.limit_mib": COUNT,
    "runs": TEXTS,
    "overrides": TEXTS,
    "report.pairs": PAIRS,
    "data.root": MAYBE_TEXT,
    "data.length": COUNT,
    "data.batch": COUNT,
    "validation.every": COUNT,
    "validation.sequences": COUNT,
    "validation.draws": COUNT,
    "evaluation.run": MAYBE_TEXT,
    "evaluation.sequences": COUNT,
    "evaluation.draws": COUNT,
    "evaluation.batch": COUNT,
    "evaluation.target_se": POSITIVE,
    "evaluation.most_draws": COUNT,
    "sampling.count": COUNT,
    "sampling.steps": STEPS,
    "sampling.template": MAYBE_TEXT,
    "collecting.count": COUNT,
    "collecting.steps": STEP,
    "collecting.batch": COUNT,
    "collecting.corpus": FLAG,
}

# A line's beginning, then an address whose user, or user and password (a port is none), ends in @.
PASSWORD = re.compile(r"(?m)^[ -]*(.*?)\w+://([^\s/]*|[^\s/:@]+:(?!\d+/)[^\s@]*)@")


def require_no_password(text: str) -> None:
    """Refuse an address with a user or a password in a configuration, which others will read.

    Raises:
        InputError: The key; the message does not repeat the address.
    """
    match = "@" in text and re.search(PASSWORD, text)
    if match:
        key = match[1].partition(":")[0] or "an address"
        raise InputError(f"{key}: holds a user or a password; write the address without it")


def require_text(cfg: DictConfig, keys: Collection[str]) -> None:
    """Refuse a run without text in a stage that reads text, or without what takes its place.

    Args:
        cfg: The configuration.
        keys: Keys that the stage reads.

    Raises:
        InputError: The first key of the text that is null, or that is not in a toy world.
    """
    if "world" in keys and cfg.get("world") is not None:
        for key in (key for key in NOT_OF_TOYS if key in keys and cfg.get(key) is not None):
            raise InputError(
                f"{key}: must be null in a toy world, whose samples are the training data; set "
                f"{key}=null or world=null"
            )
    if any(key in keys and cfg.get(key) is not None for key in INSTEAD):
        return
    for key in (key for key in OF_TEXT if key in keys):
        if OmegaConf.select(cfg, key, default=ABSENT) is None:
            way = "this stage reads text, which toy worlds have none of"
            way = "set it, or world for a toy world" if "world" in keys else way
            raise InputError(f"{key}: found null; {way}")


def check_values(cfg: DictConfig) -> None:
    """Check the plain keys of a configuration against their kinds.

    Raises:
        InputError: A value of another kind, or one out of its range.
    """
    for key, kind in KINDS.items():
        value = _value(cfg, key) if key.partition(".")[0] in cfg else ABSENT
        if value is not ABSENT and not kind.holds(value):
            single = kind.name.startswith("a list") and isinstance(value, str | int)
            hint = f"; of one it is {key}=[{value}]" if single else ""
            raise InputError(f"{key} must be {kind.name}, found {value!r}{hint}")


def _value(cfg: DictConfig, key: str) -> object:
    """Return the value of a key; an interpolation that fails is reported where it is read."""
    try:
        return OmegaConf.select(cfg, key, default=ABSENT)
    except OmegaConfBaseException:
        return ABSENT


def _all(value: object, kind: Kind) -> bool:
    return isinstance(value, ListConfig) and all(kind.holds(part) for part in value)
