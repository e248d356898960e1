"""A disk that is really full, or may only be read: one line, nothing torn, the rest afterwards."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.stages.house import Done, House, make_text

VOWELS = ("reward=function", "reward.path=tests.stages.house:vowels")
LABELS = ("experiment=reward/testaments", "labels=jsonl", "labels.path={run}/../labels.jsonl")
ROOMS = (0, 8 * 4096)  # so that it fails at once, or on its way


class Work(NamedTuple):
    """One command; ``{run}`` in its overrides is the folder of the training."""

    stage: str
    out: str
    overrides: tuple[str, ...]
    files: tuple[str, ...]  # the last is the record


WORKS = (
    Work("prepare", "data", (), ("train.tok", "valid.tok", "test.tok")),
    Work("train", "run", (), ("weights.safetensors", "metrics.jsonl", "train.json")),
    Work("evaluate", "run", (), ("evaluate.json",)),
    Work("sample", "run", (), ("samples.json",)),
    Work("evaluate", "run", ("metric=[rewards]", *VOWELS), ("evaluate.json",)),
    Work("collect", "drawn", ("reference={run}", *VOWELS), ("sequences.tok", "collect.json")),
    Work("train", "judge", LABELS, ("train.json",)),
    Work("report", "page", ("runs=[{run}]",), ("tables/headline.csv", "index.html")),
)


def mount(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a small disk needs the right to mount one: {done.stderr.strip()}")


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """A house on a disk of its own, of twelve megabytes."""
    monkeypatch.setenv("TCSM_TARGETS", "tests")
    root = tmp_path / "disk"
    root.mkdir()
    mount("-t", "tmpfs", "-o", "size=12m", "none", str(root))
    try:
        (root / "text.txt").write_text(make_text(0, words=1500))
        rows = ({"text": f"{n % 2 * 'not '}good {n}", "label": n % 2} for n in range(99))
        (root / "labels.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        yield House(root)
    finally:
        subprocess.run(["umount", str(root)], check=True)


def fill(root: Path, leave: int) -> Path:
    """Leave so many bytes free; returns the file that takes the others."""
    filler = root / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            file.truncate(file.tell() - leave)
    return filler


def do(house: House, work: Work) -> Done:
    overrides = [override.format(run=house.root / "run") for override in work.overrides]
    return house.run(work.stage, *overrides, name=work.out)


def there(house: House, work: Work) -> list[bool]:
    return [(house.root / work.out / name).exists() for name in work.files]


def record(house: House, work: Work) -> bytes | None:
    path = house.root / work.out / work.files[-1]
    return path.read_bytes() if path.exists() else None


def assert_told(done: Done, house: House, *reasons: str) -> None:
    (line,) = [line for line in done.err if line.startswith("tcsm: error: ")]
    assert (done.code, done.err[-1]) == (2, line), done
    assert f" {house.root}/" in line
    assert any(reason in line for reason in reasons), line


def test_a_disk_that_is_full_or_may_only_be_read(house: House) -> None:
    for work in WORKS:
        for leave in ROOMS if work.stage in ("train", "report") else ROOMS[:1]:
            filler = fill(house.root, leave)
            before = record(house, work)
            # before a training starts, or while it writes
            assert_told(do(house, work), house, "iB of disk", "o space left on")
            assert not house.unfinished()
            assert record(house, work) == before
            filler.unlink()
        mount("-o", "remount,ro", str(house.root))
        assert_told(do(house, work), house, "Read-only file system")
        mount("-o", "remount,rw", str(house.root))
        assert do(house, work).code == 0
        assert all(there(house, work))
    assert list(house.root.rglob("*.lock")) == []
