"""What is inside a download."""

import gzip
import hashlib
import io
import zipfile

import pytest

from tcsm.data.corpora.download import Download
from tcsm.data.normalize import text8, verbatim
from tcsm.errors import InputError

HALVES = (0.5, 0.25, 0.25)


@pytest.fixture
def serve(tmp_path):
    """Puts a file into the cache, as an earlier download would have."""

    def put(name, content, normalize=verbatim, **fields):
        (tmp_path / name).write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        return Download(
            f"https://example.org/{name}?download=1",
            sha256,
            str(tmp_path),
            normalize,
            fractions=HALVES,
            **fields,
        )

    return put


def zipped(**members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return file.getvalue()


def test_plain(serve):
    corpus = serve("plain.txt", b"ABCDEFGH", normalize=text8)
    assert corpus.splits() == {"train": ["abcd"], "valid": ["ef"], "test": ["gh"]}
    assert corpus.title == "plain.txt"


def test_gzip(serve):
    splits = serve("text.gz", gzip.compress(b"abcdefgh", mtime=0)).splits()
    assert splits == {"train": ["abcd"], "valid": ["ef"], "test": ["gh"]}


def test_member_of_a_zip_file(serve):
    corpus = serve("text8.zip", zipped(text8="abcdefgh", other="no"), member="text8")
    assert corpus.splits() == {"train": ["abcd"], "valid": ["ef"], "test": ["gh"]}
    assert corpus.title == "text8"


@pytest.mark.parametrize(
    ("name", "content", "member", "message"),
    [
        ("a.zip", zipped(one="1"), "two", r"a.zip: no member 'two', only \['one'\]"),
        ("a.zip", b"no zip", "two", "a.zip: cannot be unpacked"),
        ("a.gz", b"no gzip", None, "a.gz: cannot be unpacked"),
        ("a.gz", gzip.compress(b"abcdefgh", mtime=0)[:-9], None, "a.gz: cannot be unpacked"),
        ("a.txt", b"abc\xff", None, "a.txt: not UTF-8 at byte 3"),
        ("a.txt", b"abc def\0", None, "a.txt: a NUL byte at byte 7"),
        ("a.txt", "abc".encode("utf-16"), None, "a.txt: UTF-16, wanted UTF-8"),
        ("a.zip", zipped(one="1"), None, r"a.zip: a zip archive; set corpus\.member"),
        ("a.txt", b" \n ", None, r"a.txt: no text here; corpus\.url"),
    ],
)
def test_bad_content_is_refused(serve, name, content, member, message):
    with pytest.raises(InputError, match=message):
        serve(name, content, member=member).splits()


def test_other_file_than_agreed_is_refused(serve, tmp_path):
    corpus = serve("plain.txt", b"abcdefgh")
    (tmp_path / "plain.txt").write_bytes(b"abcdefgi")
    with pytest.raises(InputError, match="sha256 is"):
        corpus.splits()


def test_bad_fractions_are_refused(tmp_path):
    with pytest.raises(InputError, match="fractions"):
        Download("https://a/b", "0", tmp_path, verbatim, fractions=(1.0, 1.0, 1.0))


@pytest.mark.parametrize(
    ("name", "member", "key"),
    [
        ("a.jsonl", None, "corpus.url: a.jsonl"),
        ("a.CSV.gz", None, "corpus.url: a.CSV.gz"),
        ("a.zip", "rows.parquet", "corpus.member: rows.parquet"),
    ],
)
def test_records_are_no_prose(tmp_path, name, member, key):
    with pytest.raises(InputError, match=f"{key} holds records"):
        Download(f"https://example.org/{name}", "0", tmp_path, verbatim, member)
