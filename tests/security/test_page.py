"""Hostile text in samples, names, captions and labels: shown as text, run by nobody."""

import csv
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from tcsm.errors import InputError
from tcsm.reporting.page import Context, build
from tcsm.reporting.records import write_json
from tcsm.reporting.runs import read_runs
from tcsm.reporting.sections.base import Section, Text
from tcsm.reporting.sections.headline import Headline
from tcsm.reporting.sections.learning import Learning
from tcsm.reporting.sections.provenance import Provenance
from tcsm.reporting.sections.samples import Samples
from tcsm.reporting.tables import Column, Table, latex, write
from tests.reporting.house import make_run

TEMPLATE = Path(__file__).parents[2] / "reports/template"
HOSTILE = (
    "<script>evil()</script>",
    '"><img src=x onerror=evil()>',
    "</style><svg onload=evil()>",
    "</text></svg><script>evil()</script>",
    "]]><script>evil()</script>",
    "' onmouseover='evil()",
    "{{ 7*7 }}{% include '/etc/passwd' %}",
    "`**<b>evil</b>**`",
    "javascript:evil()",
)
ALLOWED = (
    " style title html head meta body header h1 h2 h3 p nav a main section div figure figcaption "
    " table thead tbody tr th td details summary article blockquote span pre code em strong ul li "
    " svg g defs path rect use text clippath metadata rdf:rdf cc:work "
)


class Reader(HTMLParser):
    """Every element and attribute that a browser would see."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags, self.attributes, self.text = set(), [], ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data):
        self.text += data


def harmless(page: str) -> str:
    """The text of a page in which nothing runs."""
    seen = Reader(page)
    assert {tag for tag in seen.tags if f" {tag} " not in ALLOWED} == set()
    for name, value in seen.attributes:
        assert not name.startswith("on")
        assert name not in ("href", "xlink:href", "src") or value.startswith("#")
    return seen.text


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """One run, whose records hold hostile texts wherever they hold texts."""
    folder = make_run(tmp_path_factory.mktemp("runs"), "kjv/score", 0)
    samples = json.loads((folder / "samples.json").read_text())
    for drawn in samples["runs"]:
        drawn |= {"texts": ["".join(HOSTILE)], "sampler": HOSTILE[1]}
    write_json(folder / "samples.json", samples)
    path = folder / "train.telemetry.json"
    told = {"device": HOSTILE[0], "commit": HOSTILE[2], "versions": {HOSTILE[1]: HOSTILE[3]}}
    write_json(path, json.loads(path.read_text()) | told)
    return read_runs([folder])


@pytest.fixture
def page(runs, tmp_path):
    """The page on which a text stands wherever a configuration holds texts."""

    def make(hostile: str, *chapters) -> str:
        (tmp_path / "captions").mkdir()
        for name in ("headline", "provenance", "own"):
            (tmp_path / f"captions/{name}.md").write_text(hostile)

        def own(_):
            return Section("own", hostile, hostile, (Text("own", hostile),), hostile, hostile)

        chapters = [*chapters, Provenance({"kjv/score": hostile}, command=hostile), own]
        context = Context(hostile, hostile, chapters, TEMPLATE, tmp_path / "captions")
        return build(runs, context, tmp_path / "out").read_text()

    return make


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_labels_captions_and_answers_are_text(hostile, page):
    shown = harmless(page(hostile))
    assert re.sub("[`*]", "", hostile) in re.sub("[`*]", "", shown)


def test_hostile_samples_and_names_in_figures_are_text(page, tmp_path):
    arms = {"kjv/score": "".join(HOSTILE)}
    made = page("", Headline(arms), Learning(arms), Samples(arms, characters=999))
    assert harmless(made).count("".join(HOSTILE)) > 3
    figures = [*(tmp_path / "out/figures").glob("*.svg")]
    assert len(figures) > 2
    for figure in figures:
        harmless(figure.read_text().partition("<svg")[2])


def test_a_template_cannot_leave_its_sandbox(tmp_path):
    """Any folder may be named as a template; it is no way to run Python."""
    shutil.copytree(TEMPLATE, tmp_path / "template")
    evil = "{{ ''.__class__.__mro__[1].__subclasses__() }}"
    (tmp_path / "template/page.html.j2").write_text(evil)
    with pytest.raises(Exception, match="unsafe"):
        build([], Context("a", "b", [], tmp_path / "template"), tmp_path / "out")


@pytest.mark.parametrize("name", ["../out", "/tmp/out", "a b", 'a" onload="evil()'])
def test_a_block_writes_beside_no_other_folder(name, tmp_path):
    def chapter(_):
        return Section("a", "A", "?", (Table(name, pd.DataFrame({"a": [1]}), ()),))

    with pytest.raises(InputError, match="names files; expected letters"):
        build([], Context("a", "b", [chapter], TEMPLATE), tmp_path / "out")
    assert [*tmp_path.rglob("*.csv")] == []


def test_no_cell_of_a_csv_is_a_formula(tmp_path):
    cells = ["=1+1", "+1", "-1+1", "@SUM(A1)", "\t=1", "a=1", "AR"]
    frame = pd.DataFrame({"=x": cells, "n": [-1.5, 2, 3, 4, 5, 6, 7]})
    write(Table("table", frame, (Column("n", lambda row: "1"),)), tmp_path)
    with (tmp_path / "table.csv").open(newline="") as file:
        head, *rows = csv.reader(file)
    assert head == ["'=x", "n"]
    assert [row[0] for row in rows] == [f"'{cell}" for cell in cells[:5]] + cells[5:]
    assert rows[0][1] == "-1.5"


def test_no_cell_is_a_command_of_latex():
    table = Table(
        "t", pd.DataFrame({"a": [1]}), (Column(r"\input{/etc/passwd}", lambda _: "$x^{"),)
    )
    assert r"\textbackslash{}input\{/etc/passwd\}" in latex(table)
    assert r"\$x\textasciicircum{}\{" in latex(table)
