"""The report: one self-contained HTML file from runs; equal records give equal bytes.

Figures and tables are also written below ``out/figures`` and ``out/tables``, the headline numbers
in ``out/metrics.json``.
"""

import json
import math
import sys
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from markupsafe import Markup

from tcsm.errors import InputError
from tcsm.io.records import encode, write_text
from tcsm.io.shipped import shipped
from tcsm.reporting.ablations import Labels
from tcsm.reporting.chapters import Composer
from tcsm.reporting.frames import Frames
from tcsm.reporting.results import Results
from tcsm.reporting.tables import Row, frame_of
from tcsm.runs.outcome import Outcome

NO_TEXT = "toy data with a known distribution"
REST, GENERIC = "*", "generic"  # in the list of chapters; the chapter of an ablation without one


@dataclass(frozen=True)
class Report:
    """What a report shows besides the runs; the comments of ``params/report`` explain its keys.

    ``*`` among the chapters stands for the ablations that were run and are not named, by a chapter
    of their name or by ``generic.md``; ``template`` is the folder of ``page.html.j2``.
    """

    title: str
    lead: str
    chapters: Sequence[str | Mapping[str, Sequence[str]]]
    experiments: Mapping[str, str] = field(default_factory=dict)
    pairs: Sequence[Sequence[str]] = ()
    labels: Labels = field(default_factory=dict)
    corpora: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, object] = field(default_factory=dict)
    links: Mapping[str, str | None] = field(default_factory=dict)
    live: int = 0
    template: str | Path = "reports/template"
    folder: str | Path = "reports/chapters"

    def __post_init__(self) -> None:
        """Refuse a template that is not there."""
        for file in ("page.html.j2", "style.css"):
            if not (shipped(self.template, "page.html.j2") / file).exists():
                raise InputError(f"report.template: {self.template}/{file} does not exist")

    def build(self, runs: Sequence[Outcome], out: Path) -> Path:
        """Write the report and what stands beside it; return its path."""
        results = Results(Frames(runs), self.experiments, self.labels)
        corpora = results.corpora()
        template = shipped(self.template, "page.html.j2")
        context: dict[str, object] = {"pairs": self.pairs, "experiments": self.experiments}
        context |= {"settings": self.settings, "corpora": corpora, **results.tools()}
        composer = Composer(template, shipped(self.folder, f"{GENERIC}.md"), out, context)
        for folder in ("figures", "tables"):
            (out / folder).mkdir(parents=True, exist_ok=True)
        for name, file, part in self._files(results, composer.folder):
            composer.read(name, file, part)
        composer.judge()
        own = [path.read_text(encoding="utf-8") for path in sorted(template.glob("*.js"))]
        script = "\n".join([library(), *own])
        names = " and ".join(self.corpora.get(corpus, corpus) for corpus in corpora) or NO_TEXT
        text = composer.page.get_template("page.html.j2").render(
            title=self.title.replace("{corpus}", names),
            lead=self.lead,
            chapters=[(c, composer.html(c)) for c in composer.chapters if c.shown],
            settings=self.settings,
            links=self.links,
            live=self.live,
            made=results.made(),
            ablations=results.ablations(),
            style=Markup((template / "style.css").read_text(encoding="utf-8")),
            script=Markup(script),
            digest=b64encode(sha256(script.encode()).digest()).decode(),
        )
        _write_metrics(results, out / "metrics.json")
        tables = {name: _plain(rows) for name, rows in composer.tables.items()}
        record = {"claims": _plain([one.columns() for one in composer.claims]), "tables": tables}
        write_text(out / "results.json", json.dumps(record, indent=1) + "\n")
        cited = [composer.bibliography[key] for key in composer.cited]
        write_text(out / "references.bib", "\n\n".join(cited))
        write_text(out / "index.html", text)
        return out / "index.html"

    def _files(self, results: Results, folder: Path) -> Iterator[tuple[str, str, str]]:
        """Yield the chapters, the files that they are read from, and their parts of the report."""
        parts = [one if isinstance(one, Mapping) else {"": [one]} for one in self.chapters]
        listed = [(name, part) for each in parts for part, names in each.items() for name in names]
        rest = [name for name in results.ablations() if name not in dict(listed)]
        for name, part in listed:
            if name == REST:
                own = ((other, folder / f"{other}.md") for other in rest)
                yield from ((other, other if f.exists() else GENERIC, part) for other, f in own)
            elif not (folder / f"{name}.md").exists():
                raise InputError(f"report.chapters: {folder}/{name}.md does not exist")
            else:
                yield name, name, part


def _plain(rows: Sequence[Row]) -> Any:  # noqa: ANN401 -- JSON
    """Return rows as JSON has them: null for a number that is not finite."""
    frame = frame_of(rows)
    return json.loads(frame.to_json(orient="records", double_precision=15, default_handler=str))


@cache
def library() -> str:
    """Return Vega-Lite and vega-embed as one script; empty, and a line says so, without them."""
    try:
        import vl_convert  # noqa: PLC0415 -- no wheel exists for some platforms
    except ImportError:
        missing = "figures are pictures only; pip install vl-convert-python"
        print(f"tcsm: report: {missing}", file=sys.stderr)
        return ""
    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")


def _write_metrics(results: Results, path: Path) -> None:
    """Write the bits per character by model; without a checksum, which DVC would compare too."""
    numbers = {}
    for row in results.tools()["headline"]():
        bpc = {f"{split}_bpc": row[f"{split}_value"] for split in ("test", "valid")}
        numbers[row["variant"]] = {k: value for k, value in bpc.items() if math.isfinite(value)}
    write_text(path, encode({"headline": numbers} if numbers else {}, path, 1) + "\n")
