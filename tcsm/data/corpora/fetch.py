"""Download one file over https: resumable, verified by sha256, complete or absent."""

import hashlib
import http.client
import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tcsm.errors import InputError

Opener = Callable[[urllib.request.Request], Any]

_PARTIAL, _NOTHING_LEFT = 206, 416  # of the status codes of http
# Handlers for https alone: redirections to http, ftp or file:// are refused.
_HANDLERS = (
    urllib.request.ProxyHandler,
    urllib.request.HTTPSHandler,
    urllib.request.HTTPRedirectHandler,
    urllib.request.HTTPDefaultErrorHandler,
    urllib.request.HTTPErrorProcessor,
    urllib.request.UnknownHandler,
)


def open_url(request: urllib.request.Request) -> Any:  # noqa: ANN401  what urllib returns
    """Open an https request, with a time limit on each read."""
    opener = urllib.request.OpenerDirector()
    for handler in _HANDLERS:
        opener.add_handler(handler())
    return opener.open(request, timeout=60)


def fetch(url: str, target: Path, sha256: str, opener: Opener = open_url) -> Path:
    """Download `url` to `target`; an existing valid file is kept.

    Received bytes are in `target` + ".part", and a later call resumes there.

    Raises:
        InputError: Another scheme than https, a password, no connection, or another sha256.
    """
    scheme, place = _origin(url)
    if scheme != "https" or "@" in urlsplit(url).netloc:
        raise InputError(
            f"corpus.url must start with https:// and hold no password, found {scheme}://{place}"
        )
    if not target.exists():
        part = target.with_name(target.name + ".part")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            _receive(url, part, opener)
        except (OSError, http.client.HTTPException) as error:
            raise InputError(
                f"cannot download {url}: {error}; run again to go on, or put the file at {target}"
            ) from error
        _check(part, sha256)
        os.replace(part, target)
    _check(target, sha256)
    return target


def _receive(url: str, part: Path, opener: Opener) -> None:
    """Append the missing bytes to `part`; start over where the server cannot resume."""
    start = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={start}-"} if start else {}
    try:
        response = opener(urllib.request.Request(url, headers=headers))
    except urllib.error.HTTPError as error:
        if error.code == _NOTHING_LEFT and start:
            return  # the file is complete; its checksum is checked next
        raise
    scheme, place = _origin(response.geturl())
    if scheme != "https":
        raise OSError(f"redirected to {scheme}://{place}, which is not https")
    with response, part.open("ab" if response.status == _PARTIAL else "wb") as file:
        before = file.tell()
        shutil.copyfileobj(response, file, 1 << 20)
        arrived, length = file.tell() - before, response.headers.get("Content-Length")
    if length is not None and arrived < int(length):
        raise OSError(f"the connection broke after {arrived} of {length} bytes")


def _origin(url: str) -> tuple[str, str]:
    """Return scheme and host of a URL, for messages: the rest may hold a password."""
    scheme, place, *_ = urlsplit(url)
    return scheme, place.rpartition("@")[2]


def _check(file: Path, sha256: str) -> None:
    """Remove a file with another sha256 than expected, so that the next call starts over."""
    with file.open("rb") as content:
        actual = hashlib.file_digest(content, "sha256").hexdigest()
    if actual == sha256:
        return
    if file.suffix == ".part":
        file.unlink()
    raise InputError(
        f"{file}: sha256 is {actual}, wanted {sha256}; correct corpus.sha256, or delete the file "
        "to download it again"
    )
