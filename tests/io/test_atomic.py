"""A file is the old one or the new one."""

from pathlib import Path

import pytest

from tcsm.errors import InputError
from tcsm.io.atomic import write_atomic


def test_a_file_takes_the_place_of_the_former(tmp_path: Path) -> None:
    path = tmp_path / "folder/file"
    for content in (b"old", b"new"):
        write_atomic(path, content)
        assert path.read_bytes() == content
    assert [file.name for file in path.parent.iterdir()] == ["file"]


def test_a_link_is_replaced_and_its_target_left(tmp_path: Path) -> None:
    """DVC turns files into links to its cache, which must keep what it has."""
    kept, path = tmp_path / "kept", tmp_path / "file"
    kept.write_bytes(b"old")
    path.symlink_to(kept)
    write_atomic(path, b"new")
    assert (path.read_bytes(), kept.read_bytes()) == (b"new", b"old")


def test_where_none_can_be_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "taken/inside").mkdir(parents=True)
    with pytest.raises(InputError, match=r"taken: cannot be written: .*; make room"):
        write_atomic(tmp_path / "taken", b"new")
    assert [file.name for file in tmp_path.iterdir()] == ["taken"]
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(InputError, match="File exists"):
        write_atomic(tmp_path / "file/below", b"new")
    assert (tmp_path / "file").read_bytes() == b"old"
