"""Chapters: Markdown files with Jinja become HTML, and publish their tables and figures.

A value that a chapter shows is text: what Markdown or HTML would read in it is escaped. Tables and
figures leave a mark in the Markdown, whose place their HTML takes. Chapters run in a sandbox.
"""

import html
import math
import re
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

from jinja2 import BaseLoader, Environment, FileSystemLoader, StrictUndefined
from jinja2.sandbox import SandboxedEnvironment
from markdown_it import MarkdownIt
from markupsafe import Markup

from tcsm import formatting, statistics
from tcsm.errors import InputError
from tcsm.io.records import write_text
from tcsm.reporting import figures, heatmaps, latex, pareto, tables
from tcsm.reporting.figures import Drawn
from tcsm.reporting.tables import Row
from tcsm.statistics import NOTHING, Estimate

FORMATS = (
    formatting.number, formatting.signed, formatting.percent, formatting.share,
    formatting.large, formatting.brief, formatting.short, formatting.duration, formatting.counted,
    formatting.mean_ci, formatting.interval, formatting.change, formatting.mean_range,
    tables.estimate, statistics.detectable,
)  # fmt: skip
PLOTS = (figures.lines, figures.by_variant, heatmaps.heatmap, heatmaps.densities, pareto.pareto)
TOOLS = ("table", "figure", "passages", "finding", "show", "cite")
MARK = re.compile(r"<p>\x02(\d+)\x03</p>")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
PUNCTUATION = re.compile(r"[^\w\s]|_")
STRONG = re.compile(r"\*\*(.+)\*\*")
ENTRY = re.compile(r"(?s)@\w+\{(\w+),.*?\n\}")
FIELD = re.compile(r"(\w+) = \{(.*)\}")


@dataclass
class Claim:
    """What a chapter says of its runs: that a mean is below a goal, or else above it.

    ``effect`` has the mean in words, ``paper`` what the paper states, ``main`` a main finding;
    ``corrected`` says that the verdict is that of all claims together, not of this one alone.
    """

    chapter: str
    text: str
    claim: str = ""
    mean: Estimate = NOTHING
    goal: float = 0.0
    less: bool = True
    effect: str = ""
    paper: str = ""
    main: str = ""
    p: float = math.nan
    verdict: str = ""
    corrected: bool = False

    def columns(self) -> Row:
        """Return the fields, those of the mean as ``mean_value``, ``mean_low`` and so on."""
        return {k: v for k, v in vars(self).items() if k != "mean"} | self.mean.columns("mean")

    def judge(self, p: float) -> None:
        """Set the p-value, and the verdict that follows from it."""
        side = statistics.side(self.mean, p, self.goal)
        verdict = "supported" if (side < 0) == self.less else "contradicted"
        verdict = verdict if side else "not significant"
        self.p, self.verdict = p, "too small to tell" if math.isnan(side) else verdict
        alone = statistics.side(self.mean, statistics.p_value(self.mean, self.goal), self.goal)
        self.corrected = side == 0 != alone


@dataclass
class Chapter:
    """A rendered chapter: its anchor, title, Markdown, the part of the report, its findings."""

    name: str
    title: str = ""
    text: str = ""
    part: str = ""
    findings: list[Claim] = field(default_factory=list)
    shown: bool = False


@dataclass
class Composer:
    """Renders the chapters ``folder/NAME.md`` with ``context`` by the blocks of ``template``.

    Tables and figures are written below ``out``.
    """

    template: Path
    folder: Path
    out: Path
    context: Mapping[str, object]
    blocks: list[tuple[str, dict[str, object]]] = field(default_factory=list)
    chapters: list[Chapter] = field(default_factory=list)
    tables: dict[str, list[Row]] = field(default_factory=dict)
    cited: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def claims(self) -> list[Claim]:
        """The claims of all chapters, in their order."""
        return [one for chapter in self.chapters for one in chapter.findings if one.claim]

    @cached_property
    def bibliography(self) -> dict[str, str]:
        """Key → entry of ``references.bib``."""
        path = self.folder / "references.bib"
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        return {entry[1]: entry[0] for entry in ENTRY.finditer(text)}

    @cached_property
    def _pages(self) -> Environment:
        return environment(FileSystemLoader(self.folder))

    @cached_property
    def page(self) -> Environment:
        """The templates of the page, whose values are not Markdown."""
        return environment(FileSystemLoader(self.template), literal=False)

    def read(self, name: str, file: str, part: str = "") -> Chapter:
        """Render ``FILE.md`` as a chapter; an InputError names the line that cannot be."""
        chapter = Chapter(name, part=part)
        self.chapters.append(chapter)
        tools = {name: partial(getattr(self, name), chapter) for name in TOOLS}
        try:
            page = self._pages.get_template(f"{file}.md")
            text = page.render(**self.context, **tools, chapter=name)
        except Exception as error:  # whatever a chapter does wrong is a line about the chapter
            raise InputError(_where(self.folder / f"{file}.md", error)) from error
        heading, _, chapter.text = text.lstrip().partition("\n")
        chapter.title = html.unescape(heading.lstrip("# ").strip())
        return chapter

    def html(self, chapter: Chapter) -> Markup:
        """Return a chapter as HTML, its blocks in their places."""
        return Markup(MARK.sub(lambda mark: self._block(int(mark[1])), markdown(chapter.text)))

    def table(
        self, chapter: Chapter, name: str, rows: Sequence[Row], caption: str = "",
        folded: str = "", *, caller: Callable[[Row], Markup],
    ) -> Markup:  # fmt: skip
        """Write and show a table: lines ``Header: cell``, ``+Header`` for a column on demand."""
        cells = [_cells(caller(row)) for row in rows]
        if not cells:
            return Markup("")
        headers = [header for header, _ in cells[0]]
        shown = [[cell for _, cell in row] for row in cells]
        tables.write_csv(self.out / f"tables/{_file(name)}.csv", rows)
        text = latex.table(name, html.unescape(caption), headers, shown)
        write_text(self.out / f"tables/{name}.tex", text)
        main = [at for at, header in enumerate(headers) if not header.startswith("+")]
        printed = [[row[at] for at in main] for row in (headers, *shown)]
        widths = [
            1.1 * max(map(latex.width, column)) + 14 for column in zip(*printed, strict=True)
        ]
        figures.tabulate(self.out / f"tables/{name}.pdf", printed, widths)
        self.tables[name] = list(rows)
        block: Row = {"name": name, "headers": headers, "rows": shown, "folded": folded}
        return self._add(chapter, "table", caption=caption, **block)

    def figure(self, chapter: Chapter, name: str, drawn: Drawn, caption: str = "") -> Markup:
        """Write a figure as SVG, PDF, PNG and its rows as CSV, and show it."""
        path = figures.save(drawn.figure, self.out / "figures", _file(name))
        tables.write_csv(path.with_suffix(".csv"), tables.Rows(drawn.rows))
        svg = figures.inline(path.read_text(encoding="utf-8"), name)
        block: Row = {"name": name, "caption": caption, "says": figures.spoken(drawn)}
        return self._add(chapter, "chart", svg=svg, chart=drawn.chart, **block)

    def passages(
        self, chapter: Chapter, title: str, rows: Sequence[Row], count: int, length: int = 9999,
        *, caller: Callable[[Row], Markup],
    ) -> Markup:  # fmt: skip
        """Show texts side by side; ``caller`` returns the line ``Heading: note`` of a row.

        The columns steps and traces, where rows have them, show how a text came about.
        """
        shown = []
        for row in rows:
            heading, note = _cells(caller(row))[0]
            texts = [text[:length] + " …" * (len(text) > length) for text in row["texts"][:count]]
            how = {"steps": row.get("steps"), "traces": row.get("traces", [])}
            shown.append({"heading": heading, "note": note, "texts": texts, **how})
        return self._add(chapter, "passages", title=title, passages=shown)

    def finding(
        self,
        chapter: Chapter,
        summary: bool = False,
        *,
        caller: Callable[[], Markup],
        **claim: Any,  # noqa: ANN401 -- of a Claim
    ) -> Markup:
        """Show what the runs say; the summary has its claim, verdict and effect, or the text."""
        text = " ".join(caller().split())
        if not text:
            return Markup("")
        own = Claim(chapter.name, text, **claim)
        chapter.findings += [own] if summary else []
        return self._add(chapter, "finding", text=text, claim=own, shown=False)

    def judge(self) -> None:
        """Give every claim its verdict, corrected for their number."""
        known = [statistics.p_value(one.mean, one.goal) for one in self.claims]
        for one, p in zip(self.claims, statistics.holm(known), strict=True):
            one.judge(p)

    def show(self, chapter: Chapter, name: str, **values: Any) -> Markup:  # noqa: ANN401
        """Show the block ``NAME`` of the template, which knows the values as ``block.KEY``."""
        return self._add(chapter, name, **values)

    def cite(self, chapter: Chapter, key: str) -> Markup:
        """Return a link to an entry of ``references.bib``, as ``Lou et al., 2024``."""
        if key not in self.bibliography:
            known = ", ".join(self.bibliography)
            raise InputError(f"{key} is not in {self.folder}/references.bib; it has {known}")
        entry = self.cited[key] = dict(FIELD.findall(self.bibliography[key]))
        names = [name.partition(",")[0] for name in entry["author"].split(" and ")]
        more = " et al." if names[2:] else " and " + names[1] if names[1:] else ""
        label = escape(f"{names[0]}{more}, {entry['year']}")
        return Markup(f"[{label}](#references)")

    def _add(self, chapter: Chapter, kind: str, shown: bool = True, **block: object) -> Markup:
        """Keep a block and return the mark of its place; it gives its chapter a place."""
        chapter.shown = chapter.shown or shown
        self.blocks.append((kind, block))
        return Markup(f"\n\n\x02{len(self.blocks) - 1}\x03\n\n")

    def _block(self, number: int) -> str:
        kind, block = self.blocks[number]
        template = self.page.get_template(f"blocks/{kind}.html.j2")
        shown = [chapter for chapter in self.chapters if chapter.shown]
        absent = [chapter.title for chapter in self.chapters if not chapter.shown]
        raw = "\n\n".join(self.bibliography[key] for key in self.cited)
        page = {"chapters": shown, "absent": absent, "cited": self.cited, "bibtex": raw}
        return template.render(block=block, **page)


def environment(loader: BaseLoader, literal: bool = True) -> Environment:
    """Return a sandbox; with ``literal`` every value is escaped for Markdown as well."""
    layout: dict[str, Any] = {"autoescape": True, "trim_blocks": True, "lstrip_blocks": True}
    layout |= {"undefined": StrictUndefined, "finalize": escape if literal else None}
    page = SandboxedEnvironment(loader=loader, **layout)
    page.globals |= {plot.__name__: partial(figures.draw, plot) for plot in PLOTS}
    page.globals["axis"] = figures.Axis
    page.filters |= {function.__name__: function for function in FORMATS}
    page.filters["markdown"] = markdown
    return page


def escape(value: object) -> object:
    """Return a text that Markdown shows as it is; markup that a macro made is left alone."""
    if hasattr(value, "__html__"):
        return value
    plain = CONTROL.sub(" ", str(value))
    return Markup(PUNCTUATION.sub(lambda sign: f"&#{ord(sign[0])};", plain))


def markdown(text: str, inline: bool = False) -> Markup:
    """Return Markdown as HTML: no raw HTML, no images, links within the page alone."""
    return Markup(_parser().renderInline(text) if inline else _parser().render(text))


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False})
    parser.disable(["image", "autolink", "html_inline", "html_block", "code", "lheading"])
    parser.validateLink = lambda url: url.startswith("#")  # type: ignore[method-assign]
    return parser


def _cells(text: Markup) -> list[tuple[str, str]]:
    """Return the pairs (header, cell) of the lines of a row."""
    lines = (line.partition(":") for line in text.splitlines() if line.strip())
    cells = ((html.unescape(a.strip()), html.unescape(b.strip())) for a, _, b in lines)
    return [(a, latex.Strong(b[2:-2]) if STRONG.fullmatch(b) else b) for a, b in cells]


def _file(name: str) -> str:
    if re.search(r"[^\w.-]", name):
        raise InputError(f"{name!r} names files; use letters, digits, . _ -")
    return name


def _where(path: Path, error: Exception) -> str:
    """Return one line that says where in a chapter an error is."""
    frames = traceback.extract_tb(error.__traceback__)
    places = [(f.filename, f.lineno) for f in frames if Path(f.filename).parent == path.parent]
    line = getattr(error, "lineno", None)
    file, number = places[-1] if places else (getattr(error, "filename", None) or path, line)
    where = f"{file}:{number}" if number else str(file)
    return f"{where}: {' '.join(str(error).split()) or type(error).__name__}"
