"""Chapters: what they may do, what they show, what an error in one says."""

import dataclasses
import json
import re

import pytest

from tcsm.errors import InputError
from tcsm.reporting.chapters import escape, markdown
from tests.reporting.drafts import drafts  # noqa: F401 -- a fixture
from tests.reporting.house import VARIANTS, report

HOSTILE = "a *b* [c](http://d) ![e](f) <i> `g` &amp; # | {{ 7 * 7 }}"


@pytest.fixture
def write(tmp_path, runs):
    """Make a page of a chapter with this text; return it."""

    def write(text: str, given=runs, **changes) -> str:
        (tmp_path / "chapters").mkdir(exist_ok=True)
        (tmp_path / "chapters/own.md").write_text(text)
        made = report(["own"], folder=tmp_path / "chapters", **changes)
        return made.build(given, tmp_path / "out").read_text()

    return write


def test_a_number_comes_from_the_runs(write, runs):
    page = write(
        "# Own\n\n{{ bpc('kjv/score') | mean_ci }}; {{ label('kjv/mdlm') }}{{ show('findings') }}"
    )
    values = [r.evaluate["splits"]["test"]["bpc"] for r in runs if r.experiment == "kjv/score"]
    assert f"{sum(values) / 3:.2f} ± " in page
    assert "MDLM" in page


def test_an_edited_number_is_shown(write):
    text = "# Own\n\nThe goal is 0.5.{{ show('findings') }}"
    assert "The goal is 0.5." in write(text)
    assert "The goal is 0.7." in write(text.replace("0.5", "0.7"))


@pytest.mark.parametrize(
    "text",
    [
        "{{ bpc('kjv/absent') }}",
        "{{ label('kjv/absent') }}",
    ],
)
def test_an_unknown_run_is_one_line_with_chapter_and_name(write, text):
    with pytest.raises(InputError) as error:
        write(f"# Own\n\n{text}\n")
    assert "own.md:3: " in str(error.value)
    assert "kjv/absent" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("{{ absent }}", "absent"),
        ("{% if %}", "own.md:3"),
        ("{{ 1 / 0 }}", "division"),
        ("{% include 'absent.md' %}", "absent.md"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{{ models('splits').__class__('x') }}", "unsafe"),
        (
            "{% call(row) table('../x', models('noise')) %}A: {{ row.variant }}{% endcall %}",
            "../x",
        ),
    ],
)
def test_an_error_in_a_chapter_is_one_line(write, text, word):
    with pytest.raises(InputError) as error:
        write(f"# Own\n\n{text}\n")
    assert "own.md" in str(error.value)
    assert word in str(error.value)
    assert "\n" not in str(error.value)


def test_values_are_text_whatever_they_hold(write):
    shown = "# Own\n\n{{ label('kjv/score') }}{{ show('findings') }}"
    page = write(shown, experiments={"kjv/score": HOSTILE})
    assert "a *b* [c](http://d) ![e](f) &lt;i&gt; `g` &amp;amp; # | {{ 7 * 7 }}" in page


def test_markdown_of_chapters_reaches_for_nothing():
    assert markdown("a *b* **c** `d`") == (
        "<p>a <em>b</em> <strong>c</strong> <code>d</code></p>\n"
    )
    assert "<img" not in markdown("![a](http://b)")
    assert "<a" not in markdown("[a](http://b) <http://c>")
    assert 'href="#headline"' in markdown("[a](#headline)")
    assert "<b>" not in markdown("<b>a</b>\n\n<div>\n\nc</div>")


def test_markup_is_escaped_once():
    once = escape("a*b")
    assert escape(once) is once
    assert "&#42;" in once


def test_cells_are_pairs_of_header_and_text(write, tmp_path):
    write(
        "# Own\n\n{% call(row) table('own', stability(), caption='x') %}\n"
        "Model: {{ row.variant }}\nA:B: {{ row.runs | number(1) }}\nEmpty:\n{% endcall %}",
        experiments={"kjv/score": "a: *b* & c"},
    )
    first, *_ = re.findall(r"(?m)^a.*$", (tmp_path / "out/tables/own.tex").read_text())
    assert first.startswith(r"a: {*}b{*} \& c & B: 3.0")
    rows = (tmp_path / "out/tables/own.csv").read_text().splitlines()
    assert rows[0].startswith("variant,runs,")
    assert rows[1].startswith("a: *b* & c,3,")


def test_a_chapter_without_results_has_no_place(write):
    page = write("# My title\n\nText alone.")
    assert 'id="own"' not in page


@pytest.mark.slow
def test_an_ablation_without_a_chapter_is_shown_by_the_generic_one(ablated, tmp_path):
    page = report(["summary", "*"]).build(ablated, tmp_path).read_text()
    for name in ("divergences", "exact"):  # these have a chapter
        assert f'id="{name}"' in page
    renamed = [
        dataclasses.replace(run, experiment=run.experiment.replace("divergences", "my_own"))
        for run in ablated
    ]
    page = report(["summary", "*"]).build(renamed, tmp_path / "own").read_text()
    assert "<h2>My own</h2>" in page
    rows = (tmp_path / "own/tables/my_own.csv").read_text().splitlines()
    assert len(rows) == 1 + 8
    assert {row.split(",")[2] for row in rows[1:]} == {"mask · kl"}
    assert (tmp_path / "own/figures/my_own_by_variant.svg").exists()
    assert "snakemake --cores all my_own --config scale=smoke" in page


def test_a_chapter_of_its_name_needs_no_entry(ablated, tmp_path, write):
    (tmp_path / "chapters").mkdir()
    (tmp_path / "chapters/divergences.md").write_text(
        "# Mine\n\n{{ show('missing', what='It', stage='train') }}"
    )
    (tmp_path / "chapters/generic.md").write_text("# Other\n\n")
    made = report(["*"], folder=tmp_path / "chapters")
    assert "<h2>Mine</h2>" in made.build(ablated, tmp_path / "out").read_text()


def test_a_chapter_without_a_file_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"report.chapters: .*absent.md"):
        report(["absent"]).build([], tmp_path)


def test_metrics_are_those_of_the_headline(runs, tmp_path):
    report(["headline"]).build(runs, tmp_path)
    actual = json.loads((tmp_path / "metrics.json").read_text())["headline"]
    assert list(actual) == sorted(VARIANTS.values())
