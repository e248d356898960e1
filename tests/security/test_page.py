"""Hostile text in samples, names and labels is shown as text, and never runs."""

import csv
import json
import re
import shutil
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser

import pandas as pd
import pytest

from tcsm.errors import InputError
from tcsm.io.records import write_json
from tcsm.reporting.latex import table as latex_table
from tcsm.reporting.tables import Rows, write_csv
from tcsm.runs.outcome import read_runs
from tests.reporting.house import FOLDERS, make_run, report

TEMPLATE = FOLDERS["template"]
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
    " svg g defs path rect use text clippath metadata rdf:rdf cc:work label input ol script "
)
REACHES = re.compile(r"#.*|(figures|tables)/[\w.-]+|references\.bib|https://arxiv\.org/abs/[\d.]+")


class Reader(HTMLParser):
    """Every element and attribute that a browser would see."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags, self.attributes, self.text, self.scripts = set(), [], "", []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag == "script":
            self.scripts.append([dict(attrs).get("type"), ""])

    def handle_data(self, data):
        if self.lasttag == "script" and self.cdata_elem:
            self.scripts[-1][1] += data
        else:
            self.text += data


def harmless(page: str) -> str:
    """The text of a page in which nothing runs but the one script that its policy names."""
    seen = Reader(page)
    assert {tag for tag in seen.tags if f" {tag} " not in ALLOWED} == set()
    for name, value in seen.attributes:
        assert not name.startswith("on")
        assert name not in ("href", "xlink:href", "src") or REACHES.fullmatch(value)
    for kind, script in seen.scripts:
        digest = b64encode(sha256(script.encode()).digest()).decode()
        assert kind == "application/json" or f"script-src 'sha256-{digest}'" in page
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
    message = {"device": HOSTILE[0], "commit": HOSTILE[2], "versions": {HOSTILE[1]: HOSTILE[3]}}
    write_json(path, json.loads(path.read_text()) | message)
    return read_runs([folder])


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_labels_and_titles_are_text(hostile, runs, tmp_path):
    """Wherever a configuration or a record holds texts that a chapter shows."""
    (tmp_path / "chapters").mkdir()
    (tmp_path / "chapters/own.md").write_text(
        "# {{ label('kjv/score') }}\n\n{{ label('kjv/score') }}\n"
        "{% call finding(summary=true) %}{{ label('kjv/score') }}{% endcall %}\n"
        "{{ show('findings') }}"
        "{{ show('missing', what=label('kjv/score'), stage=label('kjv/score')) }}\n"
        "{% call(row) table('own', stability(), folded=label('kjv/score')) %}\n"
        "{{ label('kjv/score') }}: {{ label('kjv/score') }}\n{% endcall %}\n"
    )
    changes = {"title": hostile, "lead": hostile, "folder": tmp_path / "chapters"}
    settings = {"scale": hostile}
    made = report(["own"], {"kjv/score": hostile}, settings=settings, **changes)
    shown = harmless(made.build(runs, tmp_path / "out").read_text())
    assert shown.count(hostile) > 5


@pytest.mark.slow
def test_hostile_samples_and_names_in_figures_are_text(runs, tmp_path):
    hostile = "".join(HOSTILE)
    made = report(["headline", "learning", "samples", "provenance"], {"kjv/score": hostile})
    made = made.build(runs, tmp_path / "out").read_text()
    assert harmless(made).count(hostile) > 3
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
        report([], template=tmp_path / "template").build([], tmp_path / "out")


@pytest.mark.parametrize("name", ["../out", "/tmp/out", "a b", 'a" onload="evil()'])
def test_a_table_writes_to_no_other_folder(name, runs, tmp_path):
    (tmp_path / "chapters").mkdir()
    text = f"# A\n{{% call(row) table({name!r}, stability()) %}}A: b\n{{% endcall %}}"
    (tmp_path / "chapters/own.md").write_text(text)
    made = report(["own"], {"kjv/score": "S"}, folder=tmp_path / "chapters")
    with pytest.raises(InputError, match="names files"):
        made.build(runs, tmp_path / "out")
    assert [*tmp_path.rglob("*.csv")] == []


def test_no_cell_of_a_csv_is_a_formula(tmp_path):
    cells = ["=1+1", "+1", "-1+1", "@SUM(A1)", "\t=1", "a=1", "AR"]
    frame = pd.DataFrame({"=x": cells, "n": [-1.5, 2, 3, 4, 5, 6, 7]})
    write_csv(tmp_path / "table.csv", Rows(frame))
    with (tmp_path / "table.csv").open(newline="") as file:
        head, *rows = csv.reader(file)
    assert head == ["'=x", "n"]
    assert [row[0] for row in rows] == [f"'{cell}" for cell in cells[:5]] + cells[5:]
    assert rows[0][1] == "-1.5"


def test_no_cell_is_a_command_of_latex():
    table = latex_table("own", r"\input{/etc/passwd}", [r"\input{/etc/passwd}"], [["$x^{"]])
    assert r"\textbackslash{}input\{/etc/passwd\}" in table
    assert r"\$x\textasciicircum{}\{" in table
