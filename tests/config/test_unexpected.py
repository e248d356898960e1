"""Whatever a stage raises is one line, with the place where it happened."""

import re
import sys
import zlib
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch._dynamo
from omegaconf import OmegaConf

from tcsm import commands as cli
from tcsm import config
from tcsm.errors import InputError
from tcsm.rewards.function import Function

USERS = """
def fails(texts):
    return [1 / 0 for _ in texts]


class Stem:
    def __init__(self, degrees: int) -> None:
        raise KeyError
"""


def deep(level: int = 0) -> int:
    return deep(level + 1)


def ends(
    error: Exception | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[int, str]:
    """The exit code and the words of a command whose stage raises; None: too deep a recursion."""

    def main(cfg: object, out: Path) -> None:
        if error is None:
            deep()
        else:
            raise error

    stage = SimpleNamespace(READS=("out",), main=main)
    monkeypatch.setattr(cli, "importlib", SimpleNamespace(import_module=lambda name: stage))
    code = cli.run(["train"])
    output = capsys.readouterr().err
    assert len(output.splitlines()) == 1
    assert output.startswith("tcsm: error: ")
    return code, output


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (zlib.error("Error -3 while decompressing"), "error: Error -3 while decompressing"),
        (AssertionError(), "AssertionError"),
        (KeyError("head"), "KeyError: 'head'"),
        (RuntimeError("\n\n  first\n\nsecond"), "RuntimeError: first"),
        (None, "RecursionError: "),
        (UnicodeDecodeError("ascii", b"\xc3", 0, 1, "no"), "PYTHONUTF8=1"),
        (torch._dynamo.exc.InternalTorchDynamoError("no header"), "devices.compiled=false"),
        (MemoryError(), "data.batch"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried 1 GiB"), "data.batch"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), "data.batch"),
    ],
)
def test_any_exception_is_one_line(
    error: Exception | None,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, line = ends(error, monkeypatch, capsys)
    assert code == 1
    assert said in line


@pytest.mark.parametrize("error", [OSError(), InputError("")])
def test_an_error_without_words_has_its_kind(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, line = ends(error, monkeypatch, capsys)
    assert code == 2
    assert type(error).__name__ in line


def test_who_debugs_gets_the_exception(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TCSM_DEBUG", "1")
    with pytest.raises(KeyError):
        ends(KeyError("head"), monkeypatch, capsys)


@pytest.fixture
def users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder of a user's own modules, which configurations may name."""
    (tmp_path / "barometer.py").write_text(USERS, "utf-8")
    (tmp_path / "broken.py").write_text("x = 1\ny = x +\n", "utf-8")
    (tmp_path / "needy.py").write_text("x = 1\n\nimport thermometer\n", "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("barometer", "broken", "needy"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setenv("TCSM_TARGETS", "barometer,broken,needy")
    return tmp_path


def test_a_mistake_in_the_users_own_code_has_its_line(
    users: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        Function("barometer:fails")(["a"])
    code, line = ends(caught.value, monkeypatch, capsys)
    assert code == 1
    assert f"ZeroDivisionError: division by zero ({users}/barometer.py:3)" in line


@pytest.mark.parametrize(
    ("target", "place"),
    [("barometer.Stem", "barometer.py:8"), ("broken.A", "broken.py:2"), ("needy.A", "needy.py:3")],
)
def test_so_has_one_while_a_part_is_built(target: str, place: str, users: Path) -> None:
    node = OmegaConf.create({"stem": {"_target_": target, "degrees": 3}})
    with pytest.raises(InputError, match=re.escape(f"{users}/{place}")) as caught:
        config.build(node.stem)
    assert str(caught.value).startswith("stem")
