"""Files of labeled texts, and what may be wrong with them."""

import gzip
import json

import pytest

from tcsm.data.labels.jsonl import LabeledJsonl
from tcsm.data.normalize import text8, verbatim
from tcsm.errors import InputError

GOOD = [{"text": f"Review {n} of A film", "label": n % 2, "stars": 3} for n in range(60)]


def write(path, lines):
    text = "".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines)
    path.write_bytes(
        gzip.compress(text.encode(), mtime=0) if path.suffix == ".gz" else text.encode()
    )
    return path


def source(path, **fields):
    return LabeledJsonl(path, "text", "label", text8, None, **fields)


@pytest.mark.parametrize("name", ["reviews.jsonl", "reviews.jsonl.gz"])
def test_rows_of_a_file(tmp_path, name):
    labels = source(write(tmp_path / name, GOOD))
    assert list(labels.rows())[:2] == [("review zero of a film", 0), ("review one of a film", 1)]
    assert labels.title == name
    assert sum(len(ex) for half in (0, 1) for ex in labels.half(half).values()) == len(GOOD)


def test_other_keys_may_be_named(tmp_path):
    path = write(tmp_path / "a.jsonl", [{"body": "Good", "y": True}])
    assert list(LabeledJsonl(path, "body", "y", text8, None).rows()) == [("good", 1)]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("no json\n", r"a\.jsonl:3: not valid JSON \(Expecting value at character 0\)"),
        ("\n", r"a\.jsonl:3: not valid JSON"),
        ("[1]\n", r"a\.jsonl:3: found list, wanted an object with text, label"),
        ({"text": "a"}, r"a\.jsonl:3: no key 'label'; found text"),
        ({"label": 1}, r"a\.jsonl:3: no key 'text'; found label"),
        ({"text": None, "label": 1}, r"a\.jsonl:3: its text is None, expected a string"),
        ({"text": "a", "label": "pos"}, r"a\.jsonl:3: its label is 'pos', expected 0 or 1"),
        ({"text": "...", "label": 1}, r"a\.jsonl:3: nothing remains of its text '\.\.\.'"),
    ],
)
def test_a_bad_line_is_told_by_number_and_reason(tmp_path, line, message):
    labels = source(write(tmp_path / "a.jsonl", [*GOOD[:2], line, *GOOD[2:]]))
    with pytest.raises(InputError, match=message):
        labels.half(0)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.jsonl", None, r"none\.jsonl: cannot be read: No such file.* \(labels\.path\)"),
        ("a.jsonl", b'{"text": "\xff"}', r"a\.jsonl:1: not UTF-8 at byte 10"),
        ("a.jsonl.gz", b"plain", r"a\.jsonl\.gz: cannot be read: Not a gzipped file"),
        (
            "b.jsonl.gz",
            gzip.compress(b"{}" * 99, mtime=0)[:-12],
            r"b\.jsonl\.gz: cannot be read: Compr",
        ),
    ],
)
def test_a_bad_file_is_refused(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        source(tmp_path / name).half(0)


def test_half_a_surrogate_pair_is_named(tmp_path):
    path = write(tmp_path / "a.jsonl", [*GOOD, {"text": "a\ud800", "label": 1}])
    for normalize in (text8, verbatim):
        with pytest.raises(InputError, match=r"a\.jsonl:61: text: character 1 is \\ud800"):
            LabeledJsonl(path, "text", "label", normalize, None).half(0)


def test_what_normalization_drops_is_counted(tmp_path):
    labels = source(write(tmp_path / "a.jsonl", [{"text": "Très bon!", "label": 1}]))
    list(labels.rows())
    (line,) = labels.tally.notes()
    for word in ("2 of 9", "text8", "'è'", "labels.normalize.path=tcsm.data.normalize.verbatim"):
        assert word in line
    assert "tokenizer" not in line
