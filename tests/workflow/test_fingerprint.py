"""Fingerprints on a package of a few files."""

from pathlib import Path

import pytest

from workflow.fingerprint import Sources, homes

TRAIN = """
'''Trains.'''
from pkg import config
from pkg.rooms.base import Base
from pkg.reporting import records
READS = ("net", "data.root")
def main(cfg):
    '''Does it.'''
    from pkg import lazy
"""
PACKAGE = {
    "__init__": "",
    "config": "import os",
    "errors": "class Bad(Exception): 'bad'",
    "stages/__init__": "",
    "stages/train": TRAIN,
    "stages/report": "import pkg.reporting.records\nREADS: tuple[str, ...] = ('out',)",
    "stages/late": "READS = tuple(['a'])",
    "reporting/__init__": "",
    "reporting/records": "x = 1",
    "rooms/__init__": "from pkg.errors import Bad",
    "rooms/base": "class Base: pass",
    "rooms/nets": "from .base import Base\nfrom ..shared import thing\nclass Net(Base): size = 1",
    "rooms/other": "class Other: pass",
    "shared/__init__": "from . import thing",
    "shared/thing": "",
    "lazy": "",
}
CONFIG = "net:\n  _target_: pkg.rooms.nets.Net\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in PACKAGE.items():
        file = tmp_path / "pkg" / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path


def fingerprint(root: Path, stage: str = "train", config: str = CONFIG) -> str:
    return Sources({"pkg": root}).fingerprint(stage, config)


def test_closure_follows_every_kind_of_import(root: Path) -> None:
    actual = Sources({"pkg": root}).closure(["pkg.stages.train", "pkg.rooms.nets.Net"])
    plain = "config errors lazy reporting reporting.records rooms rooms.base rooms.nets"
    rest = "shared shared.thing stages stages.train"
    assert actual == {"pkg"} | {f"pkg.{name}" for name in f"{plain} {rest}".split()}


def test_reads(root: Path) -> None:
    sources = Sources({"pkg": root})
    assert sources.reads("train") == ("net", "data.root")
    assert sources.reads("report") == ("out",)
    with pytest.raises(ValueError, match=r"pkg\.stages\.none: holds no READS"):
        sources.reads("none")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("stages/train", TRAIN.replace("Trains", "Learns") + "\n# comment"),
        ("stages/train", TRAIN.replace("(cfg)", "(\n    cfg,\n)")),
        ("errors", "class Bad(Exception):\n    'worse'"),
        ("rooms/other", "class Other: size = 2"),
        ("stages/report", "READS = ()"),
        ("reporting/records", "x = 2"),
    ],
)
def test_what_changes_nothing(root: Path, name: str, text: str) -> None:
    before = fingerprint(root)
    (root / "pkg" / f"{name}.py").write_text(text)
    assert fingerprint(root) == before


@pytest.mark.parametrize(
    "name",
    ["__init__", "config", "errors", "lazy", "rooms/__init__", "rooms/nets", "shared/thing"],
)
def test_what_changes_it(root: Path, name: str) -> None:
    before = fingerprint(root)
    with (root / "pkg" / f"{name}.py").open("a") as file:
        file.write("\nnew = 1\n")
    assert fingerprint(root) != before


def test_only_the_named_objects_count(root: Path) -> None:
    other = CONFIG.replace("nets.Net", "other.Other")
    assert fingerprint(root) != fingerprint(root, config=other)
    before = fingerprint(root, config=other)
    (root / "pkg/rooms/nets.py").write_text("")
    assert fingerprint(root, config=other) == before


def test_records_count_for_the_report(root: Path) -> None:
    before = fingerprint(root, "report")
    (root / "pkg/reporting/records.py").write_text("x = 2")
    assert fingerprint(root, "report") != before


@pytest.mark.parametrize("named", ["_target_: mine.lecam.LeCam", "path: one:vowels"])
def test_packages_of_the_user_count_with_what_lies_beside_them(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    package = {
        "mine/lecam": "from mine import shared\nimport words\nimport numpy",
        "mine/shared": "x = 1",
        "mine/other": "x = 1",
        "one": "import words\nfrom pkg.rooms.other import Other",
        "words": "ALL = []",
    }
    for name, text in package.items():
        (tmp_path / "users" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / f"users/{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path / "users"))
    users = homes(["mine", "one", "absent"])
    assert set(users) == {"mine", "one"}

    def now(config: str = f"{CONFIG}divergence: {{{named}}}") -> str:
        return Sources({"pkg": root, **users}).fingerprint("train", config)

    first = now()
    assert first != now(CONFIG)
    assert now(CONFIG) == fingerprint(root)
    (tmp_path / "users/mine/other.py").write_text("x = 2")
    (tmp_path / "users/mine/lecam.py").touch()
    assert now() == first
    seen = []
    for name in ("words", "mine/shared", "one"):
        (tmp_path / f"users/{name}.py").write_text("y = 2\nimport words")
        seen.append(now())
    assert (seen[0] != first, seen[1] != seen[0], seen[2] != seen[1]) == (
        True,
        "mine" in named,
        "one" in named,
    )
