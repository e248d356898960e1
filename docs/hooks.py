"""Hooks of MkDocs: the generated pages of the reference, and formulas as MathML."""

import contextlib
import io
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from tcsm import commands
from tcsm.listing import described
from tcsm.tools import help as help_tool

TOP = Path(__file__).parents[1]
# A letter, a number or a bracket with its subscripts and superscripts, as plain text has them.
SCRIPT_TEXT = r"\{(?:[^{}]|\{[^{}]*\})*\}|(?<=\^)\([^()]*(?:\([^()]*\))?[^()]*\)|[−-]?[^\W_]+|[½*]"
SCRIPT = re.compile(rf"([_^])({SCRIPT_TEXT})")
SYMBOL = re.compile(
    rf"((?<!\w)[^\W\d_][\u0300-\u036f′]?|(?<!\w)\d+|[)\]}}‖])((?:[_^](?:{SCRIPT_TEXT}))+)"
)
Pages = Iterator[tuple[str, str, str]]  # title, path, content


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the generated pages and the decisions to the navigation; render blocks of ``math``."""
    fence = {"name": "math", "class": "math", "format": mathml}
    config.mdx_configs["pymdownx.superfences"] = {"custom_fences": [fence]}
    nav: list[Any] = config.nav or []
    sections = {name: part for entry in nav for name, part in entry.items()}
    sections["Reference"] += [{"Commands": "reference/commands.md"}]
    for name, pages in (("Parameters", parameters()), ("Python", modules())):
        sections["Reference"].append({name: [{title: path} for title, path, _ in pages]})
    decisions = sorted((TOP / "docs/decisions").glob("*.md"))
    sections["Explanation"].append({"Decisions": [f"decisions/{file.name}" for file in decisions]})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    listed = ("", "reference/commands.md", commands_page())
    for _, path, content in (listed, *parameters(), *modules(), *notebooks()):
        files.append(File.generated(config, path, content=content))
    return files


def mathml(source: str, *_: object, **__: object) -> str:
    """Return a formula as MathML, which browsers show without a script."""
    return convert(source, display="block")


def on_page_content(html: str, page: Page, **_: object) -> str:
    """Return the page with symbols of its text as HTML, such as x_t^{≠i}; code is left alone."""
    if page.file.src_uri.startswith("reference/"):
        return html
    parts = re.split(r"(?s)(<(pre|code|math)\b.*?</\2>|<[^>]*>)", html)
    # Of each three parts, the first is text.
    return "".join(
        SYMBOL.sub(_typeset, part) if at % 3 == 0 else part
        for at, part in enumerate(parts)
        if at % 3 < 2
    )


def _typeset(found: re.Match[str]) -> str:
    scripts = SCRIPT.sub(lambda script: _script(script[1], script[2]), found[2])
    return f"<i>{found[1]}</i>{scripts}" if found[1].isalpha() else f"{found[1]}{scripts}"


def _script(mark: str, text: str) -> str:
    tag = "sub" if mark == "_" else "sup"
    inner = text[1:-1] if text[0] in "{(" else text
    return f"<{tag}>{SYMBOL.sub(_typeset, inner)}</{tag}>"


def commands_page() -> str:
    """Return the help of every command."""
    parts = ["# Commands", _fence(commands.USAGE.format(**_listings()))]
    for stage in described("stages"):
        with contextlib.redirect_stdout(io.StringIO()) as shown:
            help_tool.main([stage])
        parts += [f"## tcsm {stage}", _fence(shown.getvalue())]
    return "\n\n".join(parts)


def _listings() -> dict[str, str]:
    return {
        folder: "\n".join(f"  {name:<10}{text}" for name, text in described(folder).items())
        for folder in ("stages", "tools")
    }


def parameters() -> Pages:
    """Yield a page of each group of params: its files with their comments."""
    folder = TOP / "params"
    top = _parameter_page("config.yaml", [folder / "config.yaml"])
    yield "Top level", "reference/params/config.md", top
    for group in sorted(path for path in folder.iterdir() if path.is_dir()):
        page = _parameter_page(group.name, sorted(group.rglob("*.yaml")))
        yield group.name, f"reference/params/{group.name}.md", page


def _parameter_page(title: str, files: list[Path]) -> str:
    parts = [f"# {title}"]
    for file in files:
        head, body = _opening(file.read_text("utf-8"))
        name = file.relative_to(TOP / "params").with_suffix("").as_posix()
        parts += [f"## {name.replace('/', '=', 1)}", head, _fence(body, "yaml")]
    return "\n\n".join(parts)


def _opening(text: str) -> tuple[str, str]:
    """Return the comment that opens a file, and the rest."""
    lines = [line for line in text.splitlines() if not line.startswith("# @package")]
    count = next((at for at, line in enumerate(lines) if not line.startswith("#")), len(lines))
    head = "  \n".join(_escaped(line[1:].strip()) for line in lines[:count])
    return head, "\n".join(lines[count:]).strip()


def modules() -> Pages:
    """Yield a page of each package: its modules by their docstrings."""
    top = ("tcsm.library", "tcsm.noise", "tcsm.errors")
    yield "tcsm", "reference/python/tcsm.md", _module_page("tcsm", top)
    for package in sorted((TOP / "tcsm").glob("*/__init__.py")):
        room = package.parent
        files = sorted(file for file in room.rglob("*.py") if file.stem != "__init__")
        names = [".".join(file.relative_to(TOP).with_suffix("").parts) for file in files]
        name = f"tcsm.{room.name}"
        yield name, f"reference/python/{room.name}.md", _module_page(name, names)


def _module_page(title: str, names: Iterable[str]) -> str:
    return "\n\n".join([f"# {title}", *(f"::: {name}" for name in names)])


def notebooks() -> Pages:
    """Yield a page of each notebook."""
    for file in sorted((TOP / "docs/examples").glob("*.ipynb")):
        cells = json.loads(file.read_text("utf-8"))["cells"]
        texts = ("".join(cell["source"]) for cell in cells)
        shown = (
            text if cell["cell_type"] == "markdown" else _fence(text, "python")
            for cell, text in zip(cells, texts, strict=True)
        )
        yield file.stem, f"examples/{file.stem}.md", "\n\n".join(shown)


def _fence(text: str, language: str = "text") -> str:
    return f"```{language}\n{text.rstrip()}\n```"


def _escaped(text: str) -> str:
    return re.sub(r"([\\*_<\[\]])", r"\\\1", text)
