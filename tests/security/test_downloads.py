"""Downloads: https alone, even behind a redirection; checked before they are unpacked."""

import hashlib
import io
import threading
import urllib.request
import urllib.response
import zipfile
from email.message import Message
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tcsm.data.corpora import fetch as room
from tcsm.data.corpora.download import Download
from tcsm.data.corpora.fetch import fetch
from tcsm.data.normalize import verbatim
from tcsm.errors import InputError

URL = "https://example.org/text.zip"


@pytest.fixture
def plain():
    """A server of http, and what it was asked for."""
    expected = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            expected.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/text", expected
    server.shutdown()
    thread.join()
    server.server_close()


def redirect(monkeypatch, location: str) -> None:
    """Every request of https is sent on to another place."""

    class Redirecting(urllib.request.HTTPSHandler):
        def https_open(self, req):
            headers = Message()
            headers["Location"] = location
            answer = urllib.response.addinfourl(io.BytesIO(), headers, req.full_url, 302)
            answer.msg = "Found"
            return answer

    old = urllib.request.HTTPSHandler
    actual = tuple(Redirecting if handler is old else handler for handler in room._HANDLERS)
    monkeypatch.setattr(room, "_HANDLERS", actual)


def test_a_redirection_to_http_is_not_followed(plain, monkeypatch, tmp_path):
    url, expected = plain
    redirect(monkeypatch, url)
    with pytest.raises(InputError, match=r"cannot download .* unknown url type: http"):
        fetch(URL, tmp_path / "text", "0" * 64)
    assert expected == []
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://127.0.0.1/text", URL])
def test_a_redirection_elsewhere_or_in_a_circle_is_not_followed(location, monkeypatch, tmp_path):
    redirect(monkeypatch, location)
    with pytest.raises(InputError, match="cannot download"):
        fetch(URL, tmp_path / "text", "0" * 64)
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize(
    "url", ["https://me:hunter2@example.org/a", "https://hunter2@example.org"]
)
def test_a_url_with_a_password_is_refused_and_not_shown(url, tmp_path):
    with pytest.raises(InputError, match=r"no password, found https://example\.org$") as error:
        fetch(url, tmp_path / "text", "0" * 64)
    assert "hunter2" not in str(error.value)


def test_a_redirection_is_told_without_its_key(tmp_path):
    answer = urllib.response.addinfourl(io.BytesIO(), Message(), "http://a:hunter2@b/?key=hunter2")
    with pytest.raises(InputError, match="redirected to http://b, which is not https") as error:
        fetch(URL, tmp_path / "text", "0" * 64, lambda _: answer)
    assert "hunter2" not in str(error.value)


def archive(names: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in names.items():
            file.writestr(name, content)
    return packed.getvalue()


def corpus(folder, content: bytes, sha256: str, member: str) -> Download:
    (folder / "cache").mkdir()
    (folder / "cache/text.zip").write_bytes(content)
    return Download(URL, sha256, str(folder / "cache"), verbatim, member)


def test_another_archive_is_refused_before_it_is_opened(tmp_path, monkeypatch):
    """So a bomb would have to be the very file that is pinned."""
    made = corpus(tmp_path, archive({"text": b"a" * 10_000_000}), "0" * 64, "text")
    monkeypatch.setattr(zipfile, "ZipFile", lambda *_: pytest.fail("opened"))
    with pytest.raises(InputError, match="sha256 is "):
        made.splits()


def test_a_member_is_read_and_never_written(tmp_path):
    """A name that leads out of the folder (zip-slip) leads nowhere."""
    name = "../../out"
    content = archive({name: b"to be or not " * 99})
    (tmp_path / "deep").mkdir()
    made = corpus(tmp_path / "deep", content, hashlib.sha256(content).hexdigest(), name)
    assert "".join(made.splits()["train"]).startswith("to be")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["cache", "deep", "text.zip"]
