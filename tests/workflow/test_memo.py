"""A memory that may be forgotten at any time, and is never wrong."""

from pathlib import Path

import pytest

from workflow.memo import Memo


@pytest.fixture
def basis(tmp_path: Path) -> Path:
    (tmp_path / "basis.yaml").write_text("a: 1")
    return tmp_path / "basis.yaml"


@pytest.fixture
def path(tmp_path: Path, basis: Path) -> Path:
    """A memory of one value."""
    memo = Memo(tmp_path / "kept/texts.json", [basis])
    assert memo.get("run", lambda: "rate: 0.1") == "rate: 0.1"
    memo.save()
    return memo.path


def refuse() -> str:
    raise AssertionError("asked")


def test_what_is_kept_is_not_made_again(path: Path, basis: Path) -> None:
    assert Memo(path, [basis]).get("run", refuse) == "rate: 0.1"
    assert [file.name for file in path.parent.iterdir()] == ["texts.json"]


def test_another_basis_is_another_memory(path: Path, basis: Path) -> None:
    basis.write_text("a: 2")
    assert Memo(path, [basis]).get("run", lambda: "new") == "new"


def test_whatever_was_altered_is_forgotten(path: Path, basis: Path) -> None:
    content = path.read_bytes()
    for at in range(len(content)):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        assert Memo(path, [basis]).get("run", lambda: "made") == "made"
        path.write_bytes(content[:at])
        assert Memo(path, [basis]).get("run", lambda: "made") == "made"


def test_a_damaged_memory_is_made_whole(path: Path, basis: Path) -> None:
    path.write_bytes(b"\xff" + path.read_bytes())
    memo = Memo(path, [basis])
    memo.get("run", lambda: "rate: 0.1")
    memo.save()
    assert Memo(path, [basis]).get("run", refuse) == "rate: 0.1"
