"""Files are read and written as UTF-8, whatever the locale, and any locale prints what is said."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parents[1]
SOURCES = sorted([*TOP.glob("tcsm/**/*.py"), *TOP.glob("workflow/**/*.py")])
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
STARTERS = {"run", "Popen", "call", "check_call", "check_output"}  # of subprocess
OPENERS = {"open": 1, "fdopen": 1, "read_text": 0, "write_text": 1}  # where text follows its mode


def unnamed(call: ast.Call) -> bool:
    """Whether a call reads or writes text in the encoding of the locale."""
    words = {keyword.arg: keyword.value for keyword in call.keywords}
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    if name in STARTERS and ("text" in words or "universal_newlines" in words):
        return "encoding" not in words
    method = isinstance(call.func, ast.Attribute)
    if name in ("read_text", "write_text") and method:
        return "encoding" not in words and len(call.args) <= OPENERS[name]
    if name not in ("open", "fdopen"):
        return False
    place = 0 if method and name == "open" else 1
    modes = [words.get("mode"), *call.args[place : place + 1]]
    mode = next((m.value for m in modes if isinstance(m, ast.Constant)), "r")
    opens = isinstance(mode, str) and set(mode) <= set("rwaxt+b")
    return opens and "b" not in mode and "encoding" not in words and not _other(call)


def _other(call: ast.Call) -> bool:
    """Calls of that name which open no file: `source.open(x_t)`, `reward.open()`."""
    if not isinstance(call.func, ast.Attribute):
        return False
    of = call.func.value
    given = [*call.args, *(keyword.value for keyword in call.keywords)]
    constant = all(isinstance(value, ast.Constant) for value in given)
    return not constant or "reward" in getattr(of, "attr", getattr(of, "id", ""))


def test_every_text_file_has_its_encoding_named() -> None:
    actual = [
        f"{path.relative_to(TOP)}:{node.lineno}"
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.Call) and unnamed(node)
    ]
    assert actual == []


@pytest.mark.parametrize(
    "line",
    [
        "path.read_text()",
        "path.write_text(words)",
        "path.open()",
        'path.open("a")',
        'open(path, "w")',
        "subprocess.run(command, text=True)",
    ],
)
def test_one_without_is_seen(line: str) -> None:
    assert unnamed(ast.parse(line, mode="eval").body)  # type: ignore[arg-type]


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """A command in a locale of ASCII alone."""
    return subprocess.run(
        [sys.executable, "-m", "tcsm", *arguments],
        cwd=folder,
        env={**os.environ, **ASCII, "PYTHONPATH": str(TOP)},
        capture_output=True,
        check=False,
    )


@pytest.mark.slow
def test_a_locale_of_ascii_prepares_a_text_and_names_what_it_cannot_say(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("über βeta, the word " * 300, "utf-8")
    (tmp_path / "ü.txt").write_text("in the beginning " * 300, "utf-8")
    lines = ["corpus=local", "tokenizer=bytes", "data.root=tokens", "out=tokens"]
    verbatim = (
        "corpus.normalize={_target_: hydra.utils.get_object, path: tcsm.data.normalize.verbatim}"
    )
    done = command(tmp_path, "prepare", *lines, verbatim, "corpus.path=text.txt")
    assert done.returncode == 0, done.stderr
    for key in ("corpus.path=ü.txt", "corpus.pathß=text.txt"):
        done = command(tmp_path, "prepare", *lines, key)
        output = done.stderr.decode("ascii")
        assert (done.returncode, len(output.splitlines())) == (2, 1)
        assert key.encode("ascii", "backslashreplace").decode() in output
        assert "PYTHONUTF8=1" in output
