"""The code blocks of a page of documentation, run in the working folder at a tiny size.

``python -m tests.documents PAGE ...`` runs pages one after another. A block below a line such as
"**Its test:** `PATH`" is written to that file. Other blocks of Python and bash are executed; those
of one page share their variables.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

from tcsm.__main__ import run as tcsm
from tests.stages.house import TINY, make_text

TOP = Path(__file__).parents[1]
LANGUAGES = {"python", "bash", "console", "yaml", "text", "math", "markdown", "json", "latex"}
FILE = re.compile(r"\*\*[^*]+:\*\* `([^`]+)`")
SIZED = ("prepare", "train", "collect")  # other stages take the sizes of their run
DIVISOR = 50  # of the steps of a page


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, its first line, the file that it is, if any."""

    language: str
    text: str
    line: int
    file: str | None


def blocks(page: Path) -> Iterator[Block]:
    above = ""
    for token in MarkdownIt("commonmark").parse(page.read_text("utf-8")):
        if token.type == "inline":
            above = token.content
        elif token.type == "fence":
            file = FILE.match(above)
            yield Block(token.info, token.content, token.map[0] + 1, file and file[1])
            above = ""


def run_page(page: Path) -> None:
    """Run the blocks of a page, in their order.

    Raises:
        AssertionError: A command ends with another code than 0.
    """
    names: dict[str, object] = {"__name__": page.stem}
    if not Path("text.txt").exists():
        Path("text.txt").write_text(make_text(0, 30000), "utf-8")
    for block in blocks(page):
        _run_block(block, page, names)


def _run_block(block: Block, page: Path, names: dict[str, object]) -> None:
    if block.file:
        Path(block.file).parent.mkdir(parents=True, exist_ok=True)
        Path(block.file).write_text(block.text, "utf-8")
    elif block.language == "python":
        exec(compile("\n" * block.line + block.text, str(page), "exec"), names)
    elif block.language == "bash":
        for line in _commands(block.text):
            _command(line, f"{page.name}:{block.line}: {line}")


def _commands(text: str) -> list[str]:
    joined = text.replace("\\\n", " ")
    return [part for line in joined.splitlines() for part in re.split(r" && ", line) if part]


def _command(line: str, where: str) -> None:
    words = shlex.split(os.path.expandvars(line), comments=True)
    words = words[1:] if words[:1] == ["export"] else words
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        name, _, value = words.pop(0).partition("=")
        os.environ[name] = value
        if name == "PYTHONPATH":
            sys.path.insert(0, str(Path(value).resolve()))
    if not words:
        return
    if words[0] == "tcsm":
        code = tcsm(words[1:2] + _tiny(words[1], words[2:]))
    elif words[0] == "snakemake":
        code = subprocess.call([sys.executable, "-m", *words, "--dry-run", "--quiet", "all"])
    else:
        code = subprocess.call(words)
    assert code == 0, where


def _tiny(stage: str, words: list[str]) -> list[str]:
    """Return the arguments of a command at a tiny size, on a made-up text in place of KJV."""
    if stage not in SIZED or "--help" in words:
        return words
    if any(word.startswith(("corpus=", "world=")) for word in words):
        sizes = [word for word in TINY if word != "corpus=local"]
    else:
        sizes = [*TINY, "corpus.path=text.txt"]
    return [*sizes, "threads=1", *map(_fewer, words)]


def _fewer(word: str) -> str:
    actual = re.fullmatch(r"trainer\.steps=(\d+)", word)
    return f"trainer.steps={max(2, int(actual[1]) // DIVISOR)}" if actual else word


if __name__ == "__main__":
    for name in sys.argv[1:]:
        run_page(Path(name))
