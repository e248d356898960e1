"""Which files of a folder are read, and what is said of the others."""

import gzip
import io
import os

import numpy as np
import pytest

from tcsm.data.corpora import folder
from tcsm.data.corpora.folder import list_text
from tcsm.data.corpora.local import LocalText
from tcsm.data.corpora.shuffled import Shuffled
from tcsm.data.normalize import text8, verbatim
from tcsm.errors import InputError


def put(root, files):
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def names(listing, root):
    return [path.relative_to(root).as_posix() for path in listing.files]


def skipped(listing, root):
    return {
        kind: [path.relative_to(root).as_posix() for path in paths]
        for kind, paths in listing.skipped.items()
    }


def npz():
    file = io.BytesIO()
    np.savez(file, a=np.arange(9))
    return file.getvalue()


def test_hidden_folders_are_left_out_wherever_they_lie(tmp_path):
    root = put(
        tmp_path / ".cache" / "books",  # its own parents do not matter
        {
            "a.txt": "a",
            ".git/config": "[core]",
            "deep/.ipynb_checkpoints/a-checkpoint.txt": "a",
            "deep/b.txt": "b",
            ".DS_Store": b"\0\1",
            "__pycache__/x.txt": "x",
        },
    )
    listing = list_text(root)
    assert names(listing, root) == ["a.txt", "deep/b.txt"]
    assert skipped(listing, root) == {
        "hidden files or folders": [
            ".DS_Store",
            ".git",
            "__pycache__",
            "deep/.ipynb_checkpoints",
        ]
    }


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.jsonl", b'{"text": "a"}\n', folder.OF_RECORDS),
        ("a.ipynb", b'{"cells": []}', folder.OF_RECORDS),
        ("a.json", b"[]", folder.OF_RECORDS),
        ("a.CSV", b"a,b\n", folder.OF_RECORDS),
        ("a.tsv", b"a\tb\n", folder.OF_RECORDS),
        ("a.parquet", b"PAR1\x15\x04", folder.OF_RECORDS),
        ("a.md.gz", gzip.compress(b"text", mtime=0), folder.OF_ARCHIVES),
        ("a.zip", b"PK\3\4", folder.OF_ARCHIVES),
        ("a.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", folder.BINARY),
        ("a.npz", npz(), folder.BINARY),
        ("a.pdf", b"%PDF-1.7 text", folder.BINARY),
        ("gzipped", gzip.compress(b"text", mtime=0), folder.BINARY),
        ("a.txt~", b"older", "backup and temporary files"),
        ("a.txt.part", b"half", "backup and temporary files"),
        ("none.txt", b"", folder.EMPTY),
    ],
)
def test_what_is_no_prose_is_left_out_and_named(tmp_path, name, content, kind):
    put(tmp_path, {"a.txt": "a"})
    (tmp_path / name).write_bytes(content)
    listing = list_text(tmp_path)
    assert names(listing, tmp_path) == ["a.txt"]
    assert skipped(listing, tmp_path) == {kind: [name]}


def test_other_names_of_text_are_read(tmp_path):
    files = {"a.md": b"# a", "README": b"b", "c.tex": b"c\x0c", "d.dat": "naïve".encode("latin-1")}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    assert sorted(names(list_text(tmp_path), tmp_path)) == sorted(files)


def test_many_of_a_kind_are_one_line(tmp_path):
    put(tmp_path, {"a.txt": "a", **{f"{n}.png": b"\x89PNG\0" for n in range(1234)}})
    assert list_text(tmp_path).notes() == [
        f"skipped binary files: 1,234, such as {tmp_path / '0.png'}"
    ]


def test_links_are_followed_once_and_loops_end(tmp_path):
    root = put(tmp_path / "root", {"real/a.txt": "a", ".store/c.txt": "c"})
    other = put(tmp_path / "other", {"b.txt": "b"})
    (root / "linked").symlink_to(other)
    (root / "again").symlink_to(root / "real")
    (root / "real" / "up").symlink_to(root)
    (other / "back").symlink_to(root)
    (other / "top").symlink_to(tmp_path)
    (root / "stored.txt").symlink_to(root / ".store" / "c.txt")
    (root / "twice.txt").symlink_to(root / "real" / "a.txt")
    (root / "lost.txt").symlink_to(root / "gone")
    (root / "itself").symlink_to(root / "itself")
    listing = list_text(root)
    assert names(listing, root) == ["linked/b.txt", "real/a.txt", "stored.txt"]
    assert skipped(listing, root) == {
        "hidden files or folders": [".store"],
        "links that lead nowhere": ["itself", "lost.txt"],
        "links to what is read already": [
            "again",
            "linked/back",
            "linked/top",
            "real/up",
            "twice.txt",
        ],
    }


def test_what_is_no_file_is_not_waited_for(tmp_path):
    put(tmp_path, {"a.txt": "a"})
    os.mkfifo(tmp_path / "pipe.txt")
    assert skipped(list_text(tmp_path), tmp_path) == {folder.ODD: ["pipe.txt"]}
    with pytest.raises(InputError, match=r"pipe\.txt: .*corpus\.path"):
        LocalText(tmp_path / "pipe.txt", verbatim).files()


def test_a_folder_that_cannot_be_read_is_no_empty_one(tmp_path, monkeypatch):
    put(tmp_path, {"a.txt": "a", "closed/b.txt": "b"})
    scan = os.scandir

    def refuse(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(InputError, match=r"closed: cannot be read: Permission denied"):
        list_text(tmp_path)


def test_odd_names_are_shown_in_one_line(tmp_path):
    put(tmp_path, {"a.txt": "a"})
    (tmp_path / "two\nlines.csv").write_text("a,b")
    with open(os.fsencode(tmp_path) + b"/caf\xe9.png", "wb") as file:
        file.write(b"\0")
    notes = list_text(tmp_path).notes()
    assert any("two\\nlines.csv" in note for note in notes)
    assert any("caf\\xe9.png" in note for note in notes)
    assert all(note.isprintable() for note in notes)


def test_files_are_what_is_read(tmp_path):
    put(tmp_path, {"b.txt": "b b", "a.txt": "a a", "c.csv": "c"})
    corpus = LocalText(tmp_path, text8)
    assert corpus.files() == (tmp_path / "a.txt", tmp_path / "b.txt")
    assert Shuffled(corpus).files() == corpus.files()
    assert LocalText(tmp_path / "a.txt", text8).files() == (tmp_path / "a.txt",)
    with pytest.raises(InputError, match=r"gone: no such file or folder \(corpus\.path\)"):
        LocalText(tmp_path / "gone", text8).files()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.jsonl", b'{"text": "a"}\n', "records"),
        ("a.csv", b"a,b\n", "records"),
        ("a.parquet", b"PAR1", "records"),
        ("a.gz", gzip.compress(b"text", mtime=0), "unpack"),
        ("a.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "binary"),
    ],
)
def test_a_file_that_is_no_prose_is_refused_as_a_corpus(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"{name}: .*{words}.*corpus\.path"):
        LocalText(tmp_path / name, verbatim).splits()
