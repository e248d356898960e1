import json

import pytest

from tcsm.errors import InputError
from tcsm.training import distributed

GONE = f"tcsm: error: process 0 {distributed.LOST}; {distributed.RESUME}"


@pytest.mark.parametrize(
    ("codes", "words", "code", "said"),
    [
        (
            {0: 1, 1: -9},
            {0: GONE},
            1,
            f"tcsm: error: process 1 died of SIGKILL; {distributed.RESUME}",
        ),
        ({0: -15, 1: -11}, {}, 1, f"tcsm: error: process 1 died of SIGSEGV; {distributed.RESUME}"),
        ({0: 1, 1: 2}, {0: GONE, 1: "tcsm: error: bad"}, 2, "tcsm: error: bad"),
        ({0: 2, 1: 2}, {0: "tcsm: error: bad", 1: "tcsm: error: bad"}, 2, "tcsm: error: bad"),
        ({0: 2, 1: -9}, {0: "tcsm: error: full disk"}, 2, "tcsm: error: full disk"),
        ({0: 1, 1: 1}, {0: GONE, 1: "Traceback: a bug"}, 1, "Traceback: a bug"),
        ({0: 1, 1: -15}, {0: GONE}, 1, GONE),
        ({0: 75, 1: 1}, {1: GONE}, 75, ""),
    ],
)
def test_who_is_to_blame_is_told_once(capsys, codes, words, code, said):
    assert (
        distributed.explain_failures(codes, {rank: words.get(rank, "") for rank in codes}) == code
    )
    assert capsys.readouterr().err.strip() == said


def test_a_rank_tells_its_agent(monkeypatch, tmp_path, capsys):
    distributed.report("alone")
    assert capsys.readouterr().err == "alone\n"
    monkeypatch.setenv("ROLE_NAME", distributed.ROLE)
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(tmp_path / "error.json"))
    message = lambda: json.loads((tmp_path / "error.json").read_text())["message"]  # noqa: E731
    distributed.report("together")
    assert message() == "together"
    for error, output in (
        (RuntimeError("[gloo/pair.cc] Connection closed by peer"), distributed.LOST),
        (ValueError("a bug"), "ValueError: a bug"),
    ):
        distributed._report(type(error), error, None)
        assert output in message()
        assert distributed.LOST in message() or "bug" in message()
    distributed.print_reports(str(tmp_path))
    assert capsys.readouterr().err == "ValueError: a bug\n"


def test_only_training_is_shared(monkeypatch):
    distributed.require_single([])
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="only the training of a model is shared"):
        distributed.require_single([])
