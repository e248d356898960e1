"""A report of a folder of runs, made again while they go on."""

import os

from tcsm.__main__ import run
from tcsm.stages import report
from tests.reporting.drafts import drafts  # noqa: F401 -- a fixture


def test_a_live_report_follows_the_records_until_interrupted(
    folders, tmp_path, monkeypatch, capsys
):
    runs, out = folders[0].parents[2], tmp_path / "out"
    record = folders[0] / "evaluate.json"
    whole, made = record.read_bytes(), []

    def pause(seconds):
        assert seconds == report.LIVE
        made.append((out / "index.html").stat().st_mtime_ns)
        os.utime(out / "index.html", ns=(len(made), len(made)))
        if len(made) == 1:  # nothing has changed
            return
        if len(made) == 4:
            raise KeyboardInterrupt
        record.write_bytes(b"{" if len(made) == 2 else whole)
        os.utime(record, ns=(len(made), len(made)))

    monkeypatch.setattr(report.time, "sleep", pause)
    words = ["report.chapters=[headline]", f"out={out}", "--live"]
    assert run(["report", str(runs), *words]) == 0
    assert made[1] == 1
    assert made[2] == 2
    assert made[3] > 3
    text = (out / "index.html").read_text()
    assert f'http-equiv="refresh" content="{report.LIVE}"' in text
    assert str(record) in capsys.readouterr().err


def test_many_runs_are_no_name_of_a_file():
    words = [f"runs=[{','.join(['results/one'] * 999)}]"]
    assert report.spelled(words) == words


def test_runs_that_have_not_begun_are_waited_for(tmp_path, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(report.time, "sleep", interrupt)
    words = [
        f"runs=[{tmp_path / 'later'}]",
        f"out={tmp_path / 'out'}",
        "report.chapters=[headline]",
    ]
    assert run(["report", *words, "--live"]) == 0
    assert (tmp_path / "out/index.html").exists()
    assert run(["report", *words]) == 2
