"""Files and folders of text."""

import gzip

import pytest

from tcsm.data.corpora.local import LocalText
from tcsm.data.normalize import text8, verbatim
from tcsm.errors import InputError

HALVES = (0.5, 0.25, 0.25)


def test_one_file(tmp_path):
    (tmp_path / "poem.txt").write_text("AbcdEfgh")
    corpus = LocalText(str(tmp_path / "poem.txt"), text8, HALVES)
    assert corpus.splits() == {"train": ["abcd"], "valid": ["ef"], "test": ["gh"]}
    assert corpus.title == "poem.txt"


@pytest.mark.parametrize("name", ["poem.txt.gz", "poem.TXT.zst"])
def test_a_compressed_file(tmp_path, name):
    path, content = tmp_path / name, b"abcdefgh"
    zipped = gzip.compress(content, mtime=0)
    if name.endswith("zst"):
        zipped = pytest.importorskip("zstandard").compress(content)
    path.write_bytes(zipped)
    assert LocalText(path, verbatim, HALVES).splits()["train"] == ["abcd"]
    path.write_bytes(zipped[:-4])
    with pytest.raises(InputError, match=rf"{name}: cannot be read"):
        LocalText(path, verbatim, HALVES).splits()


def test_folder_in_order_of_names_without_hidden_files(tmp_path):
    (tmp_path / "deep").mkdir()
    for name, text in [("b", "bbbb"), ("a", "aaaa"), ("deep/c", "cccc"), (".hidden", "xxxx")]:
        (tmp_path / name).write_text(text)
    splits = LocalText(tmp_path, verbatim, HALVES).splits()
    assert splits == {"train": ["aa", "bb", "cc"], "valid": [*"abc"], "test": [*"abc"]}


def test_missing_path_is_refused(tmp_path):
    with pytest.raises(InputError, match="nowhere: no such file or folder"):
        LocalText(tmp_path / "nowhere", verbatim).splits()


@pytest.mark.parametrize("content", [b"", b" \n?!"])
def test_empty_text_is_refused(tmp_path, content):
    (tmp_path / "empty").write_bytes(content)
    with pytest.raises(InputError, match="empty: no text here"):
        LocalText(tmp_path / "empty", text8).splits()
    with pytest.raises(InputError, match="no text here"):
        LocalText(tmp_path, text8).splits()


def test_other_encoding_is_refused(tmp_path):
    (tmp_path / "latin").write_bytes("naïve".encode("latin-1"))
    with pytest.raises(InputError, match="latin: not UTF-8 at byte 2"):
        LocalText(tmp_path / "latin", verbatim).splits()


def test_bad_fractions_are_refused(tmp_path):
    with pytest.raises(InputError, match="fractions"):
        LocalText(tmp_path, verbatim, (0.5, 0.5))


MARK = "\ufeff"


def test_byte_order_marks_are_no_data(tmp_path):
    joined = (MARK + "ab\n").encode() + (MARK + "cdefgh").encode()
    (tmp_path / "a.txt").write_bytes(joined)
    corpus = LocalText(tmp_path / "a.txt", verbatim, HALVES)
    assert "".join("".join(texts) for texts in corpus.splits().values()) == "ab\ncdefgh"
    assert any("byte order marks inside of texts: 1" in note for note in corpus.notes())
    (tmp_path / "a.txt").write_bytes((MARK + "ab cdefgh").encode())
    corpus = LocalText(tmp_path / "a.txt", verbatim, HALVES)
    assert "".join("".join(texts) for texts in corpus.splits().values()) == "ab cdefgh"
    assert not any("byte order" in note for note in corpus.notes())


@pytest.mark.parametrize("text", ["было", "起初神創", "«…»"])
def test_what_normalization_removes_is_no_missing_text(tmp_path, text):
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(InputError) as caught:
        LocalText(tmp_path / "a.txt", text8).splits()
    assert any(repr(char) in str(caught.value) for char in text)
    for word in ("a.txt", "text8", "corpus.normalize.path=", "verbatim", "bytes"):
        assert word in str(caught.value)


def test_a_folder_without_text_says_what_it_holds(tmp_path):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"\x89PNG\0")
    with pytest.raises(
        InputError, match=r"no text here.*corpus\.path.*skipped binary files: 2, .*a\.png"
    ):
        LocalText(tmp_path, text8).splits()


def test_it_says_what_was_read_and_left_out(tmp_path):
    files = {"a.txt": "one two", "b.txt": "three", "c.md": "four", "ru.txt": "да", "d.csv": "a,b"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    corpus = LocalText(tmp_path, text8, HALVES)
    corpus.splits()
    read, skipped, emptied, dropped = corpus.notes()
    assert read == f"read {tmp_path}, files: 4 (3 .txt, 1 .md), characters: 18"
    assert ": 1, " in skipped
    assert "d.csv" in skipped
    assert "files of which normalization text8 keeps nothing: 1" in emptied
    assert "ru.txt" in emptied
    assert "warning" in dropped
    corpus = LocalText(tmp_path / "a.txt", text8, HALVES)
    corpus.splits()
    assert corpus.notes() == [f"read {tmp_path / 'a.txt'}, characters: 7"]


def test_windows_line_ends_that_are_kept_are_said(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"one\r\ntwo\r\nthree\r\n")
    corpus = LocalText(tmp_path / "a.txt", verbatim, HALVES)
    corpus.splits()
    assert any("3 carriage returns" in note for note in corpus.notes())
    corpus = LocalText(tmp_path / "a.txt", text8, HALVES)
    assert corpus.splits()["train"] == ["one tw"]
    assert not any("carriage" in note for note in corpus.notes())


def test_blanks_are_no_text(tmp_path):
    (tmp_path / "a.txt").write_text(" \n \n" * 9)
    with pytest.raises(InputError, match=r"a\.txt: no text here"):
        LocalText(tmp_path / "a.txt", verbatim).splits()
