"""Printing never fails a command: neither an ASCII terminal nor a reader that is gone."""

import io
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tcsm import commands as cli


@pytest.fixture
def talkative(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """A stage that prints on both streams; the command that runs it."""

    def main(cfg: object, out: Path) -> None:
        print("bits − é")
        print("50 % — é", file=sys.stderr, flush=True)
        (tmp_path / "done").touch()

    stage = SimpleNamespace(READS=("out",), main=main)
    monkeypatch.setattr(cli, "importlib", SimpleNamespace(import_module=lambda name: stage))
    return ["prepare", f"out={tmp_path}"]


def test_an_ascii_terminal_gets_escapes(
    talkative: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    streams = {name: io.TextIOWrapper(io.BytesIO(), "ascii") for name in ("stdout", "stderr")}
    for name, stream in streams.items():
        monkeypatch.setattr(sys, name, stream)
    assert cli.run(talkative) == 0
    assert streams["stdout"].buffer.getvalue() == b"bits \\u2212 \\xe9\n"
    assert streams["stderr"].buffer.getvalue() == b"50 % \\u2014 \\xe9\n"


@pytest.mark.parametrize("broken", ["stdout", "stderr"])
def test_a_reader_that_is_gone_stops_nothing(
    broken: str, talkative: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", encoding="utf-8") as stream:
        monkeypatch.setattr(sys, broken, stream)
        assert cli.run(talkative) == 0
    assert (tmp_path / "done").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has it")
def test_a_full_disk_behind_a_stream_stops_nothing(
    talkative: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with open("/dev/full", "w", encoding="utf-8") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert cli.run(talkative) == 0


def test_a_closed_stream_stops_nothing(
    talkative: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert cli.run(talkative) == 0
