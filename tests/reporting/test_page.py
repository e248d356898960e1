import dataclasses
import json
import math
import re
from html.parser import HTMLParser

import pytest

from tcsm.errors import InputError
from tcsm.io.records import write_json
from tcsm.reporting.chapters import Claim
from tcsm.reporting.tables import estimate
from tcsm.runs.outcome import read_runs
from tcsm.statistics import holm, over_seeds, p_value
from tests.reporting.drafts import drafts  # noqa: F401 -- a fixture
from tests.reporting.house import ROOT, report
from tests.reporting.test_latex import compiled, needed

VARIANTS = {"kjv/score": "TCSM, score", "kjv/mdlm": "MDLM <b>", "kjv/causal": "AR"}
VOID = {"meta", "input"}
CLAIM = r'(?s)<th scope="row">(.*?)</th><td>(.*?)</td><td>(.*?)</td>'
OWN = ("summary", "headline", "differences", "learning", "noise", "samples", "stability", "budget")
ABLATIONS = ("divergences", "acceleration", "targets", "exact")
TUNED = ("distillation", "density_ratio", "reward", "preference", "tilt", "samplers")
CHAPTERS = (*OWN, *ABLATIONS, *TUNED, "provenance", "references")


def made(runs, out, chapters=CHAPTERS) -> str:
    return report(chapters, VARIANTS).build(runs, out).read_text()


def text(page: str) -> str:
    """What a reader sees."""
    return re.sub(r"(?s)<svg.*?</svg>|<script.*?</script>|<[^>]+>", "", page)


class Outline(HTMLParser):
    """Checks that elements nest, collects the attributes that could reach out."""

    def __init__(self) -> None:
        super().__init__()
        self.open, self.reaches, self.anchors = [], [], set()

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)
        self._note(attrs)

    def handle_startendtag(self, tag, attrs):
        self._note(attrs)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def _note(self, attrs):
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "srcset", "action", "data"):
                self.reaches.append(value)
            if name == "id":
                assert value not in self.anchors
                self.anchors.add(value)


@pytest.fixture(scope="module")
def out(runs, ablated, tuned, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reports")
    made([*runs, *ablated, *tuned], folder)
    return folder


@pytest.fixture(scope="module")
def page(out):
    return (out / "index.html").read_text()


def test_the_page_stands_alone(page, out):
    outline = Outline()
    outline.feed(page)
    assert outline.open == []
    assert outline.reaches
    assert all(value[1:] in outline.anchors for value in outline.reaches if value[0] == "#")
    own = {value for value in outline.reaches if value[0] != "#"}
    files = {value for value in own if not value.startswith("https://arxiv.org/")}
    assert {value for value in files if not (out / value).is_file()} == set()
    assert "default-src 'none'" in page
    assert "@import" not in page
    assert 'name="viewport"' in page
    assert "light-dark(" in page
    assert "\x02" not in page


def test_every_chapter_has_its_place(page):
    assert re.findall(r'<section id="(\w+)"', page) == list(CHAPTERS)
    assert "Not part of this run" not in page
    assert {f"<h2>{name}" for name in re.findall(r"(?m)^# (.*)$", page)} == set()


def test_hostile_text_is_escaped(page):
    assert "&lt;script&gt;alert" in page
    assert "MDLM &lt;b&gt;" in page
    assert "MDLM <b>" not in page


def test_the_summary_has_the_finding_of_every_ablation(page):
    claims = page[page.index('<table class="claims">') : page.index("</table>")]
    actual = dict.fromkeys(re.findall(r'<a href="#(\w+)">', claims))
    assert list(actual) == ["differences", *ABLATIONS, *TUNED]
    assert len(re.sub("<.*?>", "", claims)) < 4000


def test_verdicts_of_claims_are_those_of_their_intervals(page):
    claims = page[page.index('<table class="claims">') : page.index("</table>")]
    rows = [[text(cell) for cell in row] for row in re.findall(CLAIM, claims)]
    differences = [row for row in rows if row[2][:1] in "+−" and "deviations" not in row[2]]
    assert len({verdict for _, verdict, _ in differences}) > 1
    for _, verdict, effect in differences:
        low, high = (
            float(bound.replace("−", "-")) for bound in re.findall(r"[−+]\d\.\d+", effect)[1:]
        )
        expected = "supported" if high < 0 else "contradicted" if low > 0 else "not significant"
        assert verdict == expected


def test_a_verdict_that_only_the_number_of_claims_takes_away_says_so():
    alone = Claim("a", "", "A is less", over_seeds([-1.0, -2.0, -3.0, -2.5]), effect="x")
    wide = Claim("a", "", "B is less", over_seeds([-1.0, 2.0, -3.0, 1.0]), effect="x")
    for claim, p in ((alone, 0.2), (wide, 0.9)):
        claim.judge(p)
        assert claim.verdict == "not significant"
    assert [alone.corrected, wide.corrected] == [True, False]
    alone.judge(0.01)
    assert (alone.verdict, alone.corrected) == ("supported", False)


def test_findings_hold_the_numbers_of_the_tables(page):
    """Each by hand from the made-up records, as chapters format them."""
    sections = {
        name: " ".join(text(body).split())
        for name, body in re.findall(r'(?s)<section id="(\w+)".*?>(.*?)</section>', page)
    }
    wanted = {
        "divergences": ["mask · hellinger", "significantly better"],
        "acceleration": ["hollow matches", "not reached"],
        "distillation": [
            "With a teacher of 2.5",
            "instead of 1.8",
            "taylor early differs from taylor by +0.29",
        ],
        "exact": ["bce · 3", "0.00100 ± 0.0000", "−0.0900 [−0.0900, −0.0900]", "pearson · 3"],
        "targets": ["0.40 → 0.027", "0.00825 ± 0.00497"],
        "density_ratio": ["implicit · bce", "BPC from 2.29", "explicit zero · bce (−0.3"],
        "reward": ["text 2 gains most", "+1.25", "+0.50", "β = 1: +2.00 by the judge, +1.50"],
        "preference": ["paired has the highest win rate: 0.7", "better tenth and paired"],
        "samplers": ["remasking · 8 has the lowest", "−0.100", "2.0 s", "Less varied: confidence"],
        "tilt": ["0.0300 [0.0275, 0.0325]", "best (+0.170 [", "kl penalty (−0.0200 ["],
    }
    for name, parts in wanted.items():
        assert [part for part in parts if part not in sections[name]] == [], name


def test_a_page_of_two_hundred_runs_stays_light(page):
    assert len(page.encode()) < 3_000_000


def test_a_question_that_was_not_run_has_no_place(runs, tmp_path):
    page = made(runs, tmp_path, ("summary", "headline", "divergences", "exact"))
    assert "Not part of this run: Divergences, Exact toy world." in page
    assert 'id="divergences"' not in page
    assert not (tmp_path / "tables/divergences.csv").exists()


@pytest.mark.slow
def test_equal_records_give_equal_bytes(folders, ablated, tmp_path):
    outs = [tmp_path / name for name in ("a", "b")]
    everything = [*folders, *(run.folder for run in ablated)]
    chapters = ("summary", "headline", "learning", "divergences", "provenance")
    for out, order in zip(outs, (everything, everything[::-1]), strict=True):
        made(read_runs(order), out, chapters)
    files = [sorted(p.relative_to(out) for p in out.rglob("*") if p.is_file()) for out in outs]
    assert files[0] == files[1]
    for name in files[0]:
        assert (outs[0] / name).read_bytes() == (outs[1] / name).read_bytes(), name


def test_figures_and_tables_also_stand_on_their_own(out):
    tables = {path.name for path in (out / "tables").iterdir()}
    for name in (*CHAPTERS[1:4], "samples", "stability", "budget", *ABLATIONS, *TUNED, "learning"):
        assert {f"{name}.csv", f"{name}.tex", f"{name}.pdf"} <= tables
    figures = {path.stem for path in (out / "figures").iterdir()}
    for name in ("bpc_by_variant", "learning_curves", "loss_by_noise", "samples_judge_bpc"):
        assert {f"{name}.svg", f"{name}.pdf"} <= {p.name for p in (out / "figures").iterdir()}
    assert {"divergences_by_variant", "acceleration_tokens", "acceleration_seconds"} <= figures
    assert {"targets_tv", "exact_map", "exact_front", "reward_front", "reward_sweep"} <= figures
    assert {"preference_front", "tilt_densities", "distillation_tokens"} <= figures


def test_the_first_numbers_stand_alone(out):
    actual = json.loads((out / "metrics.json").read_text())["headline"]
    assert list(actual) == sorted(VARIANTS.values())
    assert actual["AR"]["test_bpc"] == pytest.approx(1.92, abs=0.05)
    assert set(actual["AR"]) == {"test_bpc", "valid_bpc"}
    curves = (out / "tables/learning.csv").read_text().splitlines()
    assert curves[0] == 'tokens,"TCSM, score",MDLM <b>,AR'
    assert len(curves) == 1 + 12


@needed
def test_every_table_fits_into_an_article(out, tmp_path):
    tables = sorted((out / "tables").glob("*.tex"))
    assert len(tables) > 15
    shown = compiled(tmp_path, [f"% {path.name}\n{path.read_text()}" for path in tables])
    assert re.findall(r"Overfull .hbox.*|Float too large.*", shown) == []


def test_results_hold_every_number(out):
    actual = json.loads((out / "results.json").read_text())
    rows = {row["variant"]: row for row in actual["tables"]["headline"]}
    known = json.loads((out / "metrics.json").read_text())["headline"]
    assert {name: row["test_value"] for name, row in rows.items()} == pytest.approx(
        {name: row["test_bpc"] for name, row in known.items()}
    )
    assert set(actual["tables"]) == {path.stem for path in (out / "tables").glob("*.csv")}
    claims = actual["claims"]
    known = [{k: math.nan if v is None else v for k, v in claim.items()} for claim in claims]
    assert {claim["verdict"] for claim in claims} >= {"supported", "contradicted"}
    assert [claim["p"] for claim in claims] == pytest.approx(
        holm([p_value(estimate(claim, "mean"), claim["goal"]) for claim in known])
    )


def test_what_is_cited_is_in_the_bibliography(out, page):
    entries = re.findall(r"@\w+\{(\w+),", (out / "references.bib").read_text())
    assert entries
    assert [f"ref-{key}" for key in entries] == re.findall(r'<li id="(ref-\w+)">', page)


def test_runs_without_results_are_named(folders, tmp_path):
    """All of a model, and one seed of another."""
    lost = [folder for folder in folders if "causal" in str(folder)]
    for folder in [*lost, next(folder for folder in folders if "score" in str(folder))]:
        for path in folder.glob("*.json*"):
            path.unlink()
    page = text(made(read_runs(folders), tmp_path, ["summary", "headline"]))
    assert "kjv/causal seed 0, kjv/causal seed 1, kjv/causal seed 2, kjv/score seed 0" in page
    rows = (tmp_path / "tables/headline.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows[1:]] == ['"TCSM', "MDLM <b>", "AR"]
    assert "missing" in page


def test_a_file_is_replaced_and_not_written_into(runs, tmp_path):
    """It may be a link into the cache of DVC, which must stay what it is."""
    names = ("tables/headline.csv", "figures/bpc_by_variant.svg", "metrics.json", "index.html")
    for name in names:
        (tmp_path / "out" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name.replace("/", "-")).write_text("as it was")
        (tmp_path / "out" / name).hardlink_to(tmp_path / name.replace("/", "-"))
    made(runs, tmp_path / "out", ["headline"])
    for name in names:
        assert (tmp_path / name.replace("/", "-")).read_text() == "as it was"
        assert (tmp_path / "out" / name).read_text() != "as it was"


def test_only_telemetry_depends_on_the_machine(folders, tmp_path):
    """A faster machine changes times and provenance, nothing else."""
    chapters = ("summary", "differences", "learning", "samples")
    before = made(read_runs(folders), tmp_path / "a", chapters)
    for folder in folders:
        path = folder / "train.telemetry.json"
        write_json(path, json.loads(path.read_text()) | {"cpu_seconds": 1.0})
    assert made(read_runs(folders), tmp_path / "b", chapters) == before


def test_what_is_missing_is_named_by_its_stage(folders, tmp_path):
    for folder in folders:
        for name in ("samples.json", "evaluate.json"):
            (folder / name).unlink()
    page = made(read_runs(folders), tmp_path)
    assert page.count("<code>tcsm sample</code>") == 1
    assert page.count("<code>tcsm evaluate</code>") == 3


def test_no_runs_make_a_page_all_the_same(tmp_path):
    page = made([], tmp_path)
    assert page.count('class="missing"') == 9
    assert json.loads((tmp_path / "metrics.json").read_text()) == {}


def test_a_judge_s_own_samples_are_no_independent_case(runs, tmp_path):
    settings = {"judge": "kjv/mdlm", "scale": "smoke"}
    page = report(["samples"], VARIANTS, settings=settings).build(runs, tmp_path).read_text()
    assert "Apart from MDLM &lt;b&gt;, the judge itself" in page


def test_held_out_text_stands_beside_the_samples(runs, tmp_path):
    page = report(["samples"], VARIANTS).build(runs, tmp_path).read_text()
    assert "judge 1.90 BPC" in page
    assert page.count(">in the beginning &lt;b&gt;was&lt;/b&gt; the word") == 1
    first = (tmp_path / "tables/samples.csv").read_text().splitlines()[1]
    assert first.startswith("Held-out text,1.9,4.1,0.9,")


def test_pulled_runs_have_no_times(ablated, tmp_path):
    """DVC keeps no telemetry."""
    runs = [dataclasses.replace(run, stages={}) for run in ablated]
    page = text(made(runs, tmp_path, ["budget", "provenance"]))
    assert page.count("DVC does not keep") == 2


def test_one_seed_decides_nothing(ablated, tuned, tmp_path):
    runs = [run for run in [*ablated, *tuned] if run.seed == 0]
    page = text(made(runs, tmp_path, [*ABLATIONS, *TUNED]))
    assert "significantly" not in page
    assert math.isclose(page.count("nan"), 0)


def test_a_template_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"report.template: .*page.html.j2"):
        report([], template=tmp_path)


def test_the_shipped_report_names_its_chapters():
    names = {path.stem for path in (ROOT / "reports/chapters").glob("*.md")}
    listed = (ROOT / "params/report/default.yaml").read_text()
    assert {name for name in names if f"- {name}\n" not in listed} == {"generic"}


def test_columns_on_demand_are_on_the_page_and_not_in_latex(page, out):
    assert re.search(r'<th scope="col" class="more">CPU a run</th>', page)
    latex = (out / "tables/headline.tex").read_text()
    assert "Test BPC" in latex
    assert "CPU a run" not in latex
    assert "+" not in latex.splitlines()[2]
