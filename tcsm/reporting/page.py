"""Page: one self-contained HTML file from runs; equal records give equal bytes.

The template sees sections and block kinds; it knows no experiment. Figures and tables are also
written on their own, below ``out/figures`` and ``out/tables``, and the first numbers of all
sections in ``out/metrics.json``.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.sandbox import SandboxedEnvironment
from markupsafe import Markup, escape

from tcsm.errors import InputError
from tcsm.reporting.records import encode, write_text
from tcsm.reporting.runs import Run
from tcsm.reporting.sections.base import Block, Chapter, Chart
from tcsm.reporting.tables import Table
from tcsm.shipped import shipped

NO_TEXT = "worlds whose law is known"  # what runs are trained on that read no text
INLINE = (
    (re.compile(r"`(.+?)`"), r"<code>\1</code>"),
    (re.compile(r"\*\*(.+?)\*\*"), r"<strong>\1</strong>"),
    (re.compile(r"\*(.+?)\*"), r"<em>\1</em>"),
)


@dataclass(frozen=True)
class Context:
    """What a page needs besides the runs.

    Attributes:
        title: the heading; ``{corpus}`` is the text that the runs were trained on.
        lead: the line below it.
        sections: the chapters, in the order shown.
        template: folder with ``page.html.j2``, ``style.css`` and ``blocks/KIND.html.j2``.
        captions: folder with ``NAME.md``, the caption of the block of that name, and with
            ``NAME.CORPUS.md``, what is added where that is the only corpus.
        arms: the experiments that the page is about; without any of them it is about all runs.
        corpora: title of a corpus: its name in the heading, if it has another one.
    """

    title: str
    lead: str
    sections: Sequence[Chapter]
    template: str | Path = "reports/template"
    captions: str | Path = "reports/captions"
    arms: Mapping[str, str] = field(default_factory=dict)
    corpora: Mapping[str, str] = field(default_factory=dict)

    def texts(self, runs: Sequence[Run]) -> list[str]:
        """The titles of the corpora that the runs were trained on."""
        mine = [run for run in runs if run.experiment in self.arms] or runs
        return sorted({corpus for run in mine if (corpus := _corpus(run))})

    def heading(self, corpora: Sequence[str]) -> str:
        """The title of a page about these corpora."""
        names = [self.corpora.get(corpus, corpus) for corpus in corpora]
        return self.title.replace("{corpus}", " and ".join(names) or NO_TEXT)

    def __post_init__(self) -> None:
        for file in ("page.html.j2", "style.css"):
            if not (self.template_folder / file).exists():
                raise InputError(f"template: {self.template}/{file} not found; it makes the page")

    @property
    def template_folder(self) -> Path:
        """The template's folder: here, else as it came with the package."""
        return shipped(self.template, "page.html.j2")

    @property
    def captions_folder(self) -> Path:
        """The folder of the captions, likewise."""
        return shipped(self.captions, "headline.md")


def build(runs: Sequence[Run], context: Context, out: Path) -> Path:
    """Writes the page and what stands beside it; returns the page's path."""
    for folder in ("figures", "tables"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    found = [chapter(runs) for chapter in context.sections]
    corpora = context.texts(runs)
    show = partial(_show, context=context, corpora=corpora, out=out)
    sections = [
        {**vars(section), "blocks": [show(block) for block in section.blocks]}
        for section in found
        if section.blocks
    ]
    absent = [section.title for section in found if not section.blocks]
    style = (context.template_folder / "style.css").read_text(encoding="utf-8")
    page = _environment(context.template_folder).get_template("page.html.j2")
    text = page.render(
        title=context.heading(corpora),
        lead=context.lead,
        sections=sections,
        absent=absent,
        style=Markup(style),
    )
    numbers = {section.name: section.numbers for section in found if section.numbers}
    metrics = out / "metrics.json"  # without a checksum, which DVC would compare too
    write_text(metrics, encode(numbers, metrics, 1) + "\n")
    write_text(out / "index.html", text)
    return out / "index.html"


def phrase(text: str) -> Markup:
    """Escaped text with ``code``, **strong** and *emphasis*."""
    body = str(escape(text.strip()))
    for pattern, mark in INLINE:
        body = pattern.sub(mark, body)
    return Markup(body)


def prose(text: str) -> Markup:
    """Phrases, a paragraph a blank line."""
    parts = re.split(r"\n\s*\n", phrase(text))
    return Markup("".join(f"<p>{part}</p>" for part in parts if part))


def _corpus(run: Run) -> str:
    """The title of the corpus of a run; of a record without it what its configuration names."""
    told, node = run.train.get("corpus"), run.config.get("corpus", {}) if run.train else {}
    names = (node.get(key) for key in ("path", "name", "member", "_target_"))
    name = next((str(name) for name in names if name), "")
    return str(told or (Path(name).name if "path" in node else name.rpartition(".")[2].lower()))


def _show(block: Block, context: Context, corpora: Sequence[str], out: Path) -> dict[str, object]:
    if re.search(r"[^\w.-]", block.name):
        raise InputError(f"report: {block.name!r} names files; expected letters, digits, . _ -")
    shared = block.caption if isinstance(block, Table | Chart) else ""
    names = [name for name in (block.name, shared) if name]
    captions = (_caption(context.captions_folder, name, corpora) for name in names)
    caption = next((text for text in captions if text), "")
    return {"kind": block.kind, "name": block.name, "caption": caption, **block.publish(out)}


def _caption(folder: Path, name: str, corpora: Sequence[str]) -> str:
    """What is said of every block of a name, and what of it on the one corpus."""
    wanted = [f"{name}.md", *(f"{name}.{corpus}.md" for corpus in corpora if len(corpora) == 1)]
    files = {path.name: path for path in folder.glob(f"{name}*.md")}
    texts = (files[file].read_text(encoding="utf-8") for file in wanted if file in files)
    return " ".join(text.strip() for text in texts)


def _environment(template: Path) -> Environment:
    environment = SandboxedEnvironment(  # a configuration may name any folder
        loader=FileSystemLoader(template),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"prose": prose, "phrase": phrase}
    return environment
