"""Content that should be UTF-8, and what else it may be."""

import gzip
import os
import subprocess
from pathlib import Path

import pytest

from tcsm.data.encoding import check_text, decode, is_binary, shown, wide_encoding
from tcsm.errors import InputError

ENGLISH = "In the beginning\r\n"
CHINESE = "起初神創造天地。\n"


@pytest.mark.parametrize("text", [ENGLISH, CHINESE, "x", "é"])
def test_utf8_is_its_text_with_or_without_a_mark(text):
    assert decode(text.encode(), "a") == text
    assert decode(text.encode("utf-8-sig"), "a") == text


@pytest.mark.parametrize("text", [ENGLISH, CHINESE, "начало было\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("name", ["UTF-16LE", "UTF-16BE", "UTF-32LE", "UTF-32BE"])
def test_wide_encodings_are_named_with_a_command_that_converts_them(tmp_path, name, mark, text):
    file = tmp_path / "my text.txt"
    file.write_bytes((mark + text).encode(name))
    with pytest.raises(InputError, match=r"my text\.txt: UTF-.*wanted UTF-8.* iconv") as caught:
        decode(file.read_bytes(), file)
    command = str(caught.value).partition("first: ")[2].replace("NEW", str(tmp_path / "new"))
    subprocess.run(command, shell=True, check=True)
    assert decode((tmp_path / "new").read_bytes(), "new") == text
    assert not is_binary(file.read_bytes())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a b\0c", "NUL byte at byte 3"),
        (b"\0", "NUL byte at byte 0"),
        (
            "naïve".encode("latin-1"),
            r"not UTF-8 at byte 2 \(0xef\); .* iconv -f ENCODING .* a\.txt",
        ),
        (b"good \xed\xa0\x80", "not UTF-8 at byte 5"),
        (b"caf\xe9", "middle of a character.* at byte 3; .* iconv -f ENCODING"),
    ],
)
def test_what_is_no_text_is_refused(content, words):
    with pytest.raises(InputError, match=rf"a\.txt: .*{words}"):
        decode(content, "a.txt")


@pytest.mark.parametrize("content", ["été".encode()[:-1], "abc€".encode()[:-1]])
def test_a_file_that_was_cut_off_has_no_other_encoding(content):
    with pytest.raises(InputError, match=r"a\.txt: .*middle of a character.* at byte 3") as caught:
        decode(content, "a.txt")
    assert "iconv" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "binary"),
    [
        (b"a\tb\r\nc\x0cd\x1b[1mb\bb\x1a", False),
        ("naïve".encode("latin-1"), False),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", True),
        (gzip.compress(b"abc", mtime=0), True),
        (b"text\0", True),
        (b"\x01", True),
        (b"", False),
    ],
)
def test_binary_is_what_holds_control_characters(content, binary):
    assert is_binary(content) == binary
    assert wide_encoding(content) is None


def test_half_a_pair_is_named():
    check_text("a 😀 is whole", "here")
    for text, half in (("a \ud800", r"\\ud800"), ("a \udcff", r"\\udcff"), ("a \0", "NUL")):
        with pytest.raises(InputError, match=f"here: character 2 is {half}"):
            check_text(text, "here")


def test_a_path_is_one_line_that_a_shell_reads(tmp_path):
    odd = os.fsencode(tmp_path) + b"/two\nlines \xe9.txt"
    with open(odd, "wb") as file:
        file.write("été".encode("latin-1"))
    path = Path(os.fsdecode(odd))
    with pytest.raises(InputError) as caught:
        decode(path.read_bytes(), path)
    assert str(caught.value).isprintable()
    command = str(caught.value).partition("first: ")[2].partition(" > NEW")[0]
    converted = subprocess.run(
        ["bash", "-c", command.replace("ENCODING", "LATIN1")], check=True, capture_output=True
    )
    assert converted.stdout.decode() == "été"
    assert shown("plain path.txt") == "plain path.txt"
