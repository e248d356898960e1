"""Show the keys and groups of a stage, with their defaults and examples."""

import importlib
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from textwrap import wrap

from omegaconf import OmegaConf

from tcsm import config
from tcsm.errors import InputError
from tcsm.listing import described

EXAMPLES = {
    "prepare": ("tcsm prepare", "tcsm prepare corpus=local corpus.path=mine.txt"),
    "train": (
        "tcsm train experiment=kjv/score trainer.steps=200 out=results/mine",
        "tcsm train experiment=kjv/score divergence=bce seed=1",
        "tcsm train experiment=kjv/mdlm schedule=cosine net.depth=4 logger=tensorboard",
        "tcsm train experiment=kjv/score process=uniform",
    ),
    "evaluate": (
        "tcsm evaluate results/mine",
        "tcsm evaluate results/mine evaluation.sequences=64 seed=1",
    ),
    "sample": (
        "tcsm sample results/mine sampling.count=4 sampling.steps=[16,64]",
        'tcsm sample results/mine --prompt "in the beginning " --watch',
        'tcsm sample results/mine --infill "and [MASK][MASK][MASK] was light"',
    ),
    "collect": (
        "tcsm collect experiment=buffer/testaments reference=RUN reward_run=REWARD out=FOLDER",
        "tcsm collect reference=null preferences=pairs.jsonl out=results/pairs",
    ),
    "report": (
        "tcsm report runs=[results/mine,results/other] out=reports/mine",
        "tcsm report results/default out=reports/now --live",
    ),
}
WIDTH = 100
Comments = dict[str, str]


def main(arguments: Sequence[str]) -> int:
    """Print what a stage does, the keys that it reads, and the choices of its groups.

    Raises:
        InputError: No such stage.
    """
    stages = described("stages")
    if len(arguments) != 1 or arguments[0] not in stages:
        given = " ".join(arguments) or "nothing"
        raise InputError(f"help: found {given}; type tcsm help STAGE, one of {', '.join(stages)}")
    name = arguments[0]
    folder = config.params_folder()
    stage = importlib.import_module(f"tcsm.stages.{name}")
    groups = _groups(stage.READS, folder)
    print(f"tcsm {name}: {stages[name]}\n\nusage: tcsm {name} [KEY=VALUE ...]\n")
    for example in EXAMPLES.get(name, ()):
        print(f"  {example}")
    print("\nkeys, with their defaults:")
    print("\n".join(_keys(stage.READS, folder, groups)))
    if groups:
        print("\ngroups: GROUP=NAME takes params/GROUP/NAME.yaml, GROUP.KEY=VALUE sets a value:")
        print("\n".join(_choices(groups, folder)))
    print(f"\ntcsm config {name} [KEY=VALUE ...] prints the configuration without running it.")
    return 0


def _groups(reads: Iterable[str], folder: Path) -> list[str]:
    """Return the groups that a stage reads, by themselves or within the files of another."""
    known = {path.name for path in folder.iterdir() if path.is_dir()}
    waiting = [key.partition(".")[0] for key in reads] + ["experiment", "scale", "process"]
    reached: set[str] = set()
    while waiting:
        group = waiting.pop()
        if group not in known or group in reached:
            continue
        reached.add(group)
        for file in (folder / group).rglob("*.yaml") if group != "experiment" else ():
            waiting += re.findall(r"\$\{(\w+)", file.read_text("utf-8"))
    return sorted(reached)


def _choices(groups: Iterable[str], folder: Path) -> Iterator[str]:
    """Yield the names of the files of each group, the default marked by a star."""
    defaults = _defaults(folder)
    for group in groups:
        files = sorted((folder / group).rglob("*.yaml"))
        names = [str(file.relative_to(folder / group).with_suffix("")) for file in files]
        marked = [f"{name}*" if name in defaults.get(group, ()) else name for name in names]
        yield from _hanging(f"  {group:<14}", ", ".join(marked))


def _defaults(folder: Path) -> dict[str, list[str]]:
    """Return group → its default choices."""
    listed = OmegaConf.to_container(OmegaConf.load(folder / "config.yaml").defaults)
    assert isinstance(listed, list)
    chosen: dict[str, list[str]] = {}
    for entry in listed:
        for group, names in entry.items() if isinstance(entry, dict) else ():
            chosen[str(group)] = names if isinstance(names, list) else [str(names)]
    return chosen


def _keys(reads: Sequence[str], folder: Path, groups: Iterable[str]) -> Iterator[str]:
    """Yield the keys that a stage reads, with their values and comments.

    They are those of config.yaml and of groups with a default.yaml, such as ``trainer``, or with
    a single file.
    """
    composed = OmegaConf.to_container(config.compose(), resolve=False)
    plain = OmegaConf.create(composed)
    known = comments((folder / "config.yaml").read_text("utf-8"))
    for group in groups:
        files = [*(folder / group).glob("default.yaml")] or [*(folder / group).rglob("*.yaml")]
        if len(files) == 1:
            inner = comments(files[0].read_text("utf-8"))
            known |= {f"{group}.{key}": text for key, text in inner.items()}
    shown = {
        key: comment
        for key, comment in known.items()
        if any(key == own or key.startswith(f"{own}.") for own in reads)
        and key not in (*groups, "overrides")
        and not OmegaConf.is_dict(OmegaConf.select(plain, key))
    }
    for comment, keys in groupby(shown, key=shown.__getitem__):
        yield from _hanging(
            "  ", "  ".join(f"{k}={_value(OmegaConf.select(plain, k))}" for k in keys)
        )
        yield from _hanging(" " * 6, comment)


def _value(node: object) -> str:
    if OmegaConf.is_list(node):
        node = OmegaConf.to_container(node)
    if node is None or isinstance(node, bool):
        return {None: "null", True: "true", False: "false"}[node]
    return str(node).replace("'", "").replace(", ", ",")


def comments(text: str) -> Comments:
    """Return dotted key → the comment above it, or above the key before it in one block."""
    known: Comments = {}
    parents: list[str] = []
    comment = ""
    fresh = False
    for line in text.splitlines():
        bare = line.strip()
        if bare.startswith("#"):
            comment = f"{comment} {bare[1:].strip()}".strip() if fresh else bare[1:].strip()
            fresh = True
        elif match := re.match(r"( *)(\w+):", line):
            parents = [*parents[: len(match[1]) // 2], match[2]]
            known[".".join(parents)] = comment
            fresh = False
        elif not bare:
            comment, fresh = "", False
    return known


def _hanging(first: str, text: str) -> list[str]:
    return wrap(text, WIDTH, initial_indent=first, subsequent_indent=" " * len(first)) or [first]
