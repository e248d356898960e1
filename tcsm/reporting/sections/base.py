"""A section of the report: a question, blocks that show the evidence, a computed answer.

A chapter is any object that turns runs into a section. The configuration lists the chapters, so a
new one takes a file here and an entry there. A block publishes its files and tells the template
what to show; the template knows a block by its ``kind`` alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol, runtime_checkable

from matplotlib.figure import Figure

from tcsm.reporting import figures
from tcsm.reporting.runs import Run


@runtime_checkable
class Block(Protocol):
    """A piece of a section; ``reports/captions/NAME.md``, if there is one, is its caption."""

    kind: ClassVar[str]

    @property
    def name(self) -> str:
        """The name of its files and its caption."""

    def publish(self, out: Path) -> dict[str, object]:
        """Writes its files below ``out``; returns what ``blocks/KIND.html.j2`` shows."""


@dataclass(frozen=True)
class Section:
    """What a chapter says; without blocks it has no place on the page.

    Attributes:
        name: its anchor.
        title: its heading.
        question: what it asks.
        blocks: the evidence.
        answer: computed from the runs.
        brief: the answer in a line, for the top of the page.
        numbers: what a comparison of two reports looks at first, by name.
    """

    name: str
    title: str
    question: str
    blocks: tuple[Block, ...]
    answer: str = ""
    brief: str = ""
    numbers: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Question:
    """What a chapter about one ablation begins with.

    Attributes:
        name: of the ablation, whose runs are the experiments NAME/…
        title: the heading.
        question: in a sentence.
    """

    name: str
    title: str
    question: str

    def section(self, blocks: Sequence[Block] = (), answer: str = "", brief: str = "") -> Section:
        """The section; without blocks it has no place."""
        return Section(self.name, self.title, self.question, tuple(blocks), answer, brief)


@runtime_checkable
class Chapter(Protocol):
    """Makes a section of the runs; its constructor takes what the configuration decides."""

    def __call__(self, runs: Sequence[Run]) -> Section:
        """The section."""


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    kind: ClassVar[str] = "text"
    name: str
    text: str

    def publish(self, out: Path) -> dict[str, object]:
        """Shows the text."""
        return {"text": self.text}


@dataclass(frozen=True)
class Answers:
    """The brief answers of all sections, each a line that leads to its section."""

    kind: ClassVar[str] = "answers"
    name: str = ""

    def publish(self, out: Path) -> dict[str, object]:
        """Shows what the template finds in the sections."""
        return {}


@dataclass(frozen=True, eq=False)
class Chart:
    """A figure; ``caption`` names one that it shares with others, where it has none of its own."""

    kind: ClassVar[str] = "chart"
    name: str
    figure: Figure
    caption: str = ""

    def publish(self, out: Path) -> dict[str, object]:
        """Writes ``out/figures/NAME.svg`` and ``.pdf``; shows the SVG inline."""
        path = figures.save(self.figure, out / "figures", self.name)
        return {"svg": figures.inline(path.read_text(encoding="utf-8"), self.name)}


@dataclass(frozen=True)
class Command:
    """The command that repeats a section."""

    kind: ClassVar[str] = "command"
    name: str
    line: str

    def publish(self, out: Path) -> dict[str, object]:
        """Shows the line."""
        return {"line": self.line}


@dataclass(frozen=True)
class Missing:
    """A line in the place of evidence that is not there yet."""

    kind: ClassVar[str] = "missing"
    name: str
    what: str
    stage: str

    def publish(self, out: Path) -> dict[str, object]:
        """Shows which stage would make it."""
        return {"what": self.what, "stage": self.stage}


@dataclass(frozen=True)
class Passage:
    """Generated texts under a heading, e.g. of one step count."""

    heading: str
    note: str
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Passages:
    """Passages side by side."""

    kind: ClassVar[str] = "passages"
    name: str
    title: str
    passages: tuple[Passage, ...]

    def publish(self, out: Path) -> dict[str, object]:
        """Shows the texts, escaped by the template."""
        return {"title": self.title, "passages": self.passages}
