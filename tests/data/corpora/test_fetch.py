"""Downloads resume, are checked, and are whole or absent; the opener stands for the network."""

import hashlib
import http.client
import io
import urllib.error
from email.message import Message

import pytest

from tcsm.data.corpora.fetch import fetch
from tcsm.errors import InputError

URL = "https://example.org/text.gz"
CONTENT = bytes(range(256)) * 20
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Response(io.BytesIO):
    def __init__(self, content, status, length, url=URL):
        super().__init__(content)
        self.status, self.url = status, url
        self.headers = {"Content-Length": str(length)}

    def geturl(self):
        return self.url


class Server:
    """Serves CONTENT; hangs up after `limit` bytes, and knows ranges if `resumes`."""

    def __init__(self, limit=10_000, resumes=True, url=URL):
        self.limit, self.resumes, self.url = limit, resumes, url
        self.ranges = []

    def __call__(self, request):
        wanted = request.get_header("Range")
        self.ranges.append(wanted)
        start = int(wanted[6:-1]) if wanted and self.resumes else 0
        if start >= len(CONTENT):
            raise urllib.error.HTTPError(URL, 416, "Range Not Satisfiable", Message(), None)
        rest = CONTENT[start:]
        return Response(rest[: self.limit], 206 if start else 200, len(rest), self.url)


@pytest.fixture
def target(tmp_path):
    return tmp_path / "cache" / "text.gz"


def test_whole_file(target):
    server = Server()
    assert fetch(URL, target, SHA256, server).read_bytes() == CONTENT
    assert server.ranges == [None]
    assert [*target.parent.iterdir()] == [target]


def test_a_good_file_is_kept_without_a_request(target):
    fetch(URL, target, SHA256, Server())
    server = Server()
    fetch(URL, target, SHA256, server)
    assert server.ranges == []


def test_broken_download_resumes(target):
    with pytest.raises(InputError, match=r"broke after 3000 of 5120 bytes; run again to go on"):
        fetch(URL, target, SHA256, Server(limit=3000))
    assert not target.exists()
    server = Server()
    assert fetch(URL, target, SHA256, server).read_bytes() == CONTENT
    assert server.ranges == ["bytes=3000-"]


def test_server_without_ranges_starts_over(target):
    with pytest.raises(InputError):
        fetch(URL, target, SHA256, Server(limit=3000))
    assert fetch(URL, target, SHA256, Server(resumes=False)).read_bytes() == CONTENT


def test_part_that_is_complete_is_taken(target):
    target.parent.mkdir()
    (target.parent / "text.gz.part").write_bytes(CONTENT)
    assert fetch(URL, target, SHA256, Server()).read_bytes() == CONTENT


def test_wrong_download_is_refused_and_removed(target):
    with pytest.raises(InputError, match=f"sha256 is {SHA256}, wanted {'0' * 64}"):
        fetch(URL, target, "0" * 64, Server())
    assert not [*target.parent.iterdir()]


def test_wrong_file_is_refused_and_kept(target):
    target.parent.mkdir()
    target.write_bytes(b"mine")
    with pytest.raises(InputError, match=r"text.gz: sha256 is .* delete the file"):
        fetch(URL, target, SHA256, Server())
    assert target.read_bytes() == b"mine"


@pytest.mark.parametrize("url", ["http://example.org/a", "file:///etc/passwd", "ftp://a/b", "a"])
def test_other_schemes_are_refused(target, url):
    server = Server()
    with pytest.raises(InputError, match=r"corpus\.url "):
        fetch(url, target, SHA256, server)
    assert server.ranges == []


def test_redirection_away_from_https_is_refused(target):
    with pytest.raises(InputError, match=r"redirected to http://example.org, which is not https"):
        fetch(URL, target, SHA256, Server(url="http://example.org/a"))
    assert not target.exists()


@pytest.mark.parametrize(
    "error",
    [
        urllib.error.URLError("no route"),
        TimeoutError("no route"),
        http.client.IncompleteRead(b"no route"),
        urllib.error.HTTPError(URL, 404, "no route", Message(), None),
    ],
)
def test_no_connection_is_an_input_error(target, error):
    def opener(request):
        raise error

    with pytest.raises(InputError, match=rf"cannot download {URL}: .*put the file at"):
        fetch(URL, target, SHA256, opener)
