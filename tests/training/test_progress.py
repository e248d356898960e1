import io
from contextlib import closing
from pathlib import Path

import pytest

from tcsm.training.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def show(progress):
    with closing(progress):
        progress.begin(640, Path("metrics.jsonl"))
        progress.note({"loss": 3.0, "valid_bpc": 3.0104})
        progress.note({"loss": 3.0})
        for step in (120, 130, 640):
            progress(step, 640, 2.9131, 31_234.0, 75.0 if step < 640 else 0.0)


def test_progress_on_a_pipe_is_plain_lines_now_and_then(capsys):
    show(Progress("kjv/score seed 0", every=1e6))
    words = "loss 2.913  valid 3.010 BPC  31.2k tok/s  ETA"
    assert capsys.readouterr().err.splitlines() == [
        "kjv/score seed 0  640 steps  journal metrics.jsonl",
        f"kjv/score seed 0  step 120/640  {words} 01:15",
        f"kjv/score seed 0  step 640/640  {words} 00:00",
    ]


@pytest.mark.parametrize("columns", [60, 120])
def test_progress_on_a_terminal_redraws_one_line(monkeypatch, columns):
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setattr("tqdm.std._screen_shape_wrapper", lambda: lambda fp: (columns, 24))
    show(Progress("toy"))
    first, *bars = stream.getvalue().split("\r")
    assert first.count("\n") == 1
    assert "\n" not in "".join(bars).rstrip("\n")
    assert all(len(bar.rstrip("\n")) <= columns for bar in bars)
    assert any("120/640 loss 2.913" in bar for bar in bars)
