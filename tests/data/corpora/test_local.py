"""Files and folders of text."""

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
