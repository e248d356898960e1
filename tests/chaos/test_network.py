"""A download over real https that breaks, finds nobody, and goes on."""

import hashlib
import random
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tcsm.data.corpora.fetch import fetch
from tcsm.errors import InputError

CONTENT = random.Random(0).randbytes(3_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server:
    """Serves the content to whoever asks, and knows ranges.

    Attributes:
        limit: bytes after which it hangs up, or None.
        asked: the ranges that were asked for.
    """

    def __init__(self, certificate: Path) -> None:
        self.limit: int | None = None
        self.asked: list[str | None] = []
        self._kept = socket.socket()  # nobody else gets the port while the server is down
        self._kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._kept.bind(("127.0.0.1", 0))
        self.port = self._kept.getsockname()[1]
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)

    def close(self) -> None:
        """Give the port back."""
        self._kept.close()

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}/text"

    @contextmanager
    def up(self) -> Iterator[None]:
        """The server answers, on the same port every time."""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.headers["Range"])
                start = int((self.headers["Range"] or "bytes=0-")[6:-1])
                self.send_response(206 if start else 200)
                self.send_header("Content-Length", str(len(CONTENT) - start))
                self.end_headers()
                self.wfile.write(CONTENT[start:][: outer.limit])

            def log_message(self, *_: object) -> None:
                pass

        server = HTTPServer(("127.0.0.1", self.port), Handler)
        server.socket = self._context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server whose certificate is trusted here."""
    if not shutil.which("openssl"):
        pytest.skip("no openssl, which makes the server's certificate")
    file, days = tmp_path / "server.pem", ("-days", "1", "-subj", "/CN=localhost")
    kind = ("-x509", "-newkey", "rsa:2048", "-nodes", "-addext", "subjectAltName=DNS:localhost")
    command = ["openssl", "req", *kind, *days, "-keyout", str(file), "-out", str(tmp_path / "c")]
    subprocess.run(command, capture_output=True, check=True)
    with file.open("ab") as both:
        both.write((tmp_path / "c").read_bytes())
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "c"))
    monkeypatch.setenv("no_proxy", "localhost")
    made = Server(file)
    yield made
    made.close()


def test_a_broken_download_goes_on_where_it_broke(server: Server, tmp_path: Path) -> None:
    target, part = tmp_path / "cache/text", tmp_path / "cache/text.part"
    server.limit = 1_000_000
    with server.up(), pytest.raises(InputError, match=r"cannot download .* run again to go on"):
        fetch(server.url, target, SHA256)
    arrived = part.stat().st_size
    assert 0 < arrived <= server.limit
    with pytest.raises(InputError, match=r"Connection refused.*run again to go on"):
        fetch(server.url, target, SHA256)
    assert part.stat().st_size == arrived
    server.limit = None
    with server.up():
        assert fetch(server.url, target, SHA256).read_bytes() == CONTENT
    assert server.asked == [None, f"bytes={arrived}-"]
    assert [file.name for file in target.parent.iterdir()] == ["text"]


def test_what_was_altered_while_it_rested_is_begun_anew(server: Server, tmp_path: Path) -> None:
    target, part = tmp_path / "text", tmp_path / "text.part"
    part.write_bytes(b"\x00" + CONTENT[1:1000])
    with server.up():
        with pytest.raises(InputError, match=rf"sha256 is \w+, wanted {SHA256}"):
            fetch(server.url, target, SHA256)
        assert not part.exists()
        assert fetch(server.url, target, SHA256).read_bytes() == CONTENT
    assert server.asked == ["bytes=1000-", None]


def test_a_server_that_nobody_vouches_for_is_refused(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with server.up(), pytest.raises(InputError, match="CERTIFICATE_VERIFY_FAILED"):
        fetch(server.url, tmp_path / "text", SHA256)
