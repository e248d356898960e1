"""JSON lines as they come: with marks, Windows line ends, blank ends, and damages."""

import gzip
import json

import pytest

from tcsm.data.jsonl import read_objects
from tcsm.errors import InputError

ROWS = [{"text": "Très bon", "n": 1}, {"text": "a\u2028b 😀", "n": 0}]
LINES = [json.dumps(row, ensure_ascii=False) for row in ROWS]
PLAIN = "\n".join(LINES).encode()


def read(path, content):
    path.write_bytes(content)
    return list(read_objects(path, "some.key", ("text", "n")))


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        PLAIN + b"\n",
        PLAIN + b"\n\n",
        PLAIN + b"\n \r\n\n",
        b"\xef\xbb\xbf" + PLAIN,
        "\r\n".join(LINES).encode() + b"\r\n",
        b"\xef\xbb\xbf" + "\r\n".join(LINES).encode() + b"\r\n\r\n",
        b"\n".join(b"\xef\xbb\xbf" + line.encode() for line in LINES),  # files that were joined
        "\n".join(map(json.dumps, ROWS)).encode(),  # the pair of \ud83d\ude00 is one character
    ],
)
@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.json"])
def test_rows(tmp_path, name, content):
    path = tmp_path / name
    packed = gzip.compress(content, mtime=0) if name == "a.jsonl.gz" else content
    assert read(path, packed) == [(f"{path}:1", ROWS[0]), (f"{path}:2", ROWS[1])]


def test_what_is_gzipped_is_read_under_any_name(tmp_path):
    assert [row for _, row in read(tmp_path / "a.jsonl", gzip.compress(PLAIN, mtime=0))] == ROWS


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"", r"not valid JSON \(a blank line"),
        (b"{", r"not valid JSON \(Expecting .* at character 1\)"),
        (b"{'text': 1}", r"not valid JSON"),
        (b"[" * 100_000, r"not valid JSON \(.*recursion"),
        (b'{"n": ' + b"1" * 5000 + b"}", r"not valid JSON \(.*digits"),
        (b'{"text": "a", "text": "b"}', r"'text' is there twice"),
        (b"[1]", r"found list, wanted an object with text, n"),
        (b'"text"', r"found str, wanted an object"),
        (b'{"text": "caf\xe9"}', r"not UTF-8 at byte 13 \(0xe9\).* iconv .*a\.jsonl > NEW"),
        (b'{"text": "a \\ud800"}', r"text: character 2 is \\ud800"),
        (b'{"text": "\\udc00\\ud800"}', r"text: character 0 is \\udc00"),
        (b'{"text": "a \\u0000"}', r"text: character 2 is NUL"),
        (b'{"text": "a\0b"}', r"NUL byte"),
        ("é".encode("utf-16"), r"UTF-16, wanted UTF-8"),
    ],
)
def test_a_bad_line_is_named(tmp_path, line, words):
    content = LINES[0].encode() + b"\n" + line + b"\n" + PLAIN
    with pytest.raises(InputError, match=rf"a\.jsonl:2: .*{words}"):
        read(tmp_path / "a.jsonl", content)


def flipped(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]


GZIP = gzip.compress(b"\n".join(f'{{"n": {n * n}}}'.encode() for n in range(999)), mtime=0)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.jsonl", b"", r"found no line.*\(some\.key\)"),
        ("a.jsonl", b"\r\n\n \n", r"found no line"),
        ("a.jsonl", b"\xef\xbb\xbf", r"found no line"),
        ("a.jsonl.gz", gzip.compress(b"", mtime=0), r"found no line"),
        ("a.jsonl.gz", b"", r"found no line"),
        ("a.jsonl.gz", b"plain", r"cannot be read: Not a gzipped file.*\(some\.key\)"),
        ("a.jsonl.gz", GZIP[:-12], r"cannot be read: Compressed file ended"),
        ("a.jsonl.gz", GZIP[:5], r"cannot be read: Compressed file ended"),
        ("a.jsonl.gz", GZIP[:30] + b"\xff" * 30 + GZIP[60:], r"cannot be read: Error -3"),
        ("a.jsonl.gz", GZIP[:-6] + b"\0\0" + GZIP[-4:], r"cannot be read: CRC check failed"),
        ("a.jsonl.gz", GZIP[:2] + b"\7" + GZIP[3:], r"cannot be read: Unknown compression"),
        ("a.jsonl.gz", b"PK\3\4\0\0", r"cannot be read: Not a gzipped file"),
        ("a.jsonl", b"BZh91AY&SY\xff\1\2", r":1: not UTF-8 .*binary"),
        ("a.jsonl", "\n".join(LINES).encode("utf-16"), r":1: UTF-16, .* iconv -f UTF-16 "),
        ("a.jsonl", LINES[0].encode("utf-16-le"), r":1: UTF-16LE, .* iconv -f UTF-16LE"),
    ],
)
def test_a_bad_file_is_refused_in_one_line(tmp_path, name, content, words):
    with pytest.raises(InputError, match=rf"{name}.*{words}") as caught:
        read(tmp_path / name, content)
    assert "\n" not in str(caught.value)


def test_what_is_no_file_is_refused(tmp_path):
    for path, words in ((tmp_path, "Is a directory"), (tmp_path / "gone", "No such file")):
        with pytest.raises(InputError, match=rf"{path}: cannot be read: {words}.*\(some\.key\)"):
            list(read_objects(path, "some.key", ("text",)))
