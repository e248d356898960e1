"""A disk that is really full, or may only be read: one line, nothing torn, the rest afterwards."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stages.house import House, make_text

RESULTS = {
    "prepare": ("data/train.tok", "data/valid.tok", "data/test.tok"),
    "train": ("run/weights.safetensors", "run/metrics.jsonl", "run/train.json"),
    "evaluate": ("run/evaluate.json",),
    "sample": ("run/samples.json",),
}


def mount(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a small disk needs the right to mount one: {done.stderr.strip()}")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A house on a disk of its own, of four megabytes."""
    root = tmp_path / "disk"
    root.mkdir()
    mount("-t", "tmpfs", "-o", "size=4m", "none", str(root))
    try:
        (root / "text.txt").write_text(make_text(0, words=1500))
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


@pytest.mark.parametrize("leave", [0, 8 * 4096])
def test_a_full_disk(house: House, leave: int) -> None:
    """Some room is left for the training, to fail on its way."""
    for stage, files in RESULTS.items():
        filler = fill(house.root, leave if stage == "train" else 0)
        done = house.run(stage)
        assert (done.code, len(done.err)) == (2, 1), done
        assert done.err[0].startswith(f"tcsm: error: {house.root}/")
        assert "o space left on" in done.err[0]
        assert not house.unfinished()
        assert not any((house.root / name).exists() for name in files[-1:])
        filler.unlink()
        house.good(stage)
        assert all((house.root / name).exists() for name in files)
    assert list(house.root.rglob("*.lock")) == []


def test_a_disk_that_may_only_be_read(house: House) -> None:
    for stage, files in RESULTS.items():
        mount("-o", "remount,ro", str(house.root))
        done = house.run(stage)
        assert (done.code, len(done.err)) == (2, 1), done
        assert done.err[0].startswith(f"tcsm: error: {house.root}/")
        assert "Read-only file system" in done.err[0]
        mount("-o", "remount,rw", str(house.root))
        house.good(stage)
        assert all((house.root / name).exists() for name in files)
