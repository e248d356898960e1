import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tcsm.errors import InputError
from tcsm.reporting.figures import Axis
from tcsm.reporting.page import Context, build, prose
from tcsm.reporting.records import write_json
from tcsm.reporting.runs import read_runs
from tcsm.reporting.sections.ablation import Ablation
from tcsm.reporting.sections.base import Section, Text
from tcsm.reporting.sections.budget import Budget
from tcsm.reporting.sections.differences import Differences
from tcsm.reporting.sections.headline import Headline
from tcsm.reporting.sections.learning import Learning
from tcsm.reporting.sections.noise import ByNoise
from tcsm.reporting.sections.provenance import Provenance
from tcsm.reporting.sections.race import Race
from tcsm.reporting.sections.samples import Samples
from tcsm.reporting.sections.stability import Stability
from tcsm.reporting.sections.story import Story
from tcsm.reporting.sections.targets import Targets

ARMS = {"kjv/score": "TCSM, score", "kjv/mdlm": "MDLM <b>", "kjv/causal": "AR"}
PAIRS = [["kjv/score", "kjv/mdlm"]]
ROOT = Path(__file__).parents[2]
FOLDERS = {"template": ROOT / "reports/template", "captions": ROOT / "reports/captions"}
VOID = {"meta"}


def asked() -> list:
    """The questions of the ablations, in small."""
    return [
        Ablation("divergences", "Divergences", "Which?", {"loss": "kl"}),
        Ablation("exact", "Exact", "Which?", {"divergence": "bce"}, measure=Axis("kl", "nats")),
        Race("acceleration", "Acceleration", "Sooner?", {"target": "none"}),
        Targets("targets", "Targets", "How far?", Axis("size", "candidates", log=True)),
    ]


def context(**changes) -> Context:
    chapters = [
        Story(ARMS, PAIRS),
        Headline(ARMS, command="make report"),
        Differences(ARMS, PAIRS, command="make report"),
        Learning(ARMS),
        ByNoise(ARMS),
        Samples(ARMS),
        *asked(),
        Stability(ARMS),
        Budget(ARMS, seconds=3600.0),
        Provenance(ARMS),
    ]
    settings = {"title": "Toy", "lead": "A page.", "sections": chapters, **FOLDERS}
    return Context(**settings | changes)


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
def page(runs, ablated, tmp_path_factory):
    return build([*runs, *ablated], context(), tmp_path_factory.mktemp("reports")).read_text()


def test_the_page_stands_alone(page):
    outline = Outline()
    outline.feed(page)
    assert outline.open == []
    assert outline.reaches
    assert all(value[1:] in outline.anchors for value in outline.reaches if value[0] == "#")
    assert all(value[0] == "#" for value in outline.reaches)
    assert "<script" not in page
    assert "@import" not in page
    assert 'name="viewport"' in page
    assert "prefers-color-scheme: dark" in page


def test_hostile_text_is_escaped(page):
    assert "&lt;script&gt;alert" in page
    assert "MDLM &lt;b&gt;" in page
    assert "MDLM <b>" not in page


def test_the_first_screen_has_every_answer(page):
    answers = page[page.index('<ul class="answers">') : page.index("</ul>")]
    assert re.findall(r'<a href="#(\w+)">', answers) == [chapter.name for chapter in asked()]
    assert "is lowest with" in answers
    assert "reaches the last value of none after" in answers
    assert len(re.sub("<.*?>", "", answers)) < 1200
    assert "Not part of this run" not in page


def test_a_page_of_two_hundred_runs_stays_light(page):
    assert len(page.encode()) < 3_000_000


@pytest.mark.slow
def test_a_question_that_was_not_asked_has_no_place(runs, tmp_path):
    page = build(runs, context(), tmp_path).read_text()
    assert "Not part of this run: Divergences, Exact, Acceleration, Targets." in page
    assert 'id="divergences"' not in page
    assert not (tmp_path / "tables/divergences.csv").exists()


def test_a_shared_caption_stands_in_where_there_is_no_own(page):
    assert not (FOLDERS["captions"] / "divergences.md").exists()
    assert page.count("paired over the seeds that both arms share") == 1


def test_many_arms_lie_behind_a_fold(page):
    assert re.search(r"<summary>\d+ experiments of ablations and needed runs</summary>", page)


@pytest.mark.slow
def test_equal_records_give_equal_bytes(folders, ablated, tmp_path):
    chapters = [Story(ARMS, PAIRS), Headline(ARMS), Learning(ARMS), Samples(ARMS), *asked()]
    outs = [tmp_path / name for name in ("a", "b")]
    everything = [*folders, *(run.folder for run in ablated)]
    for out, order in zip(outs, (everything, everything[::-1]), strict=True):
        build(read_runs(order), context(sections=chapters), out)
    files = [sorted(p.relative_to(out) for p in out.rglob("*") if p.is_file()) for out in outs]
    assert files[0] == files[1]
    for name in files[0]:
        assert (outs[0] / name).read_bytes() == (outs[1] / name).read_bytes(), name


@pytest.mark.slow
def test_figures_and_tables_also_stand_on_their_own(runs, tmp_path):
    build(runs, context(), tmp_path)
    tables = {path.name for path in (tmp_path / "tables").iterdir()}
    for name in ("headline", "differences", "samples", "stability", "budget", "provenance"):
        assert {f"{name}.csv", f"{name}.tex"} <= tables
    figures = {path.name for path in (tmp_path / "figures").iterdir()}
    for name in ("bpc_by_arm", "learning_curves", "loss_by_noise", "samples_judge_bpc"):
        assert {f"{name}.svg", f"{name}.pdf"} <= figures


def test_the_first_numbers_stand_alone(runs, tmp_path):
    build(runs, context(sections=[Headline(ARMS), Learning(ARMS)]), tmp_path)
    found = json.loads((tmp_path / "metrics.json").read_text())["headline"]
    assert list(found) == sorted(ARMS.values())
    assert found["AR"]["test_bpc"] == pytest.approx(1.92, abs=0.05)
    assert set(found["AR"]) == {"test_bpc", "valid_bpc"}
    curves = (tmp_path / "tables/learning.csv").read_text().splitlines()
    assert curves[0] == 'tokens,"TCSM, score",MDLM <b>,AR'
    assert len(curves) == 1 + 12


def test_a_file_is_replaced_and_not_written_into(runs, tmp_path):
    """It may be a link into the cache of DVC, which must stay what it is."""
    names = ("tables/headline.csv", "figures/bpc_by_arm.svg", "metrics.json", "index.html")
    for name in names:
        (tmp_path / "out" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name.replace("/", "-")).write_text("as it was")
        (tmp_path / "out" / name).hardlink_to(tmp_path / name.replace("/", "-"))
    build(runs, context(sections=[Headline(ARMS)]), tmp_path / "out")
    for name in names:
        assert (tmp_path / name.replace("/", "-")).read_text() == "as it was"
        assert (tmp_path / "out" / name).read_text() != "as it was"


@pytest.mark.slow
def test_only_telemetry_depends_on_the_machine(folders, tmp_path):
    """A faster machine changes times and provenance, nothing else."""
    arms = [Story(ARMS, PAIRS), Differences(ARMS, PAIRS), Learning(ARMS), Samples(ARMS)]
    before = build(read_runs(folders), context(sections=arms), tmp_path / "a").read_bytes()
    for folder in folders:
        path = folder / "train.telemetry.json"
        write_json(path, json.loads(path.read_text()) | {"cpu_seconds": 1.0})
    assert build(read_runs(folders), context(sections=arms), tmp_path / "b").read_bytes() == before


@pytest.mark.slow
def test_what_is_missing_is_told_by_its_stage(folders, tmp_path):
    for folder in folders:
        for name in ("samples.json", "evaluate.json"):
            (folder / name).unlink()
    page = build(read_runs(folders), context(), tmp_path).read_text()
    assert "The samples will stand here once <code>tcsm sample</code> has run." in page
    assert page.count("<code>tcsm evaluate</code>") == 3
    assert "No pair of arms has been evaluated yet." in page


def test_no_runs_make_a_page_all_the_same(tmp_path):
    page = build([], context(), tmp_path).read_text()
    assert page.count("has run.") == 8


def test_a_new_section_needs_nothing_but_itself(tmp_path):
    def added(runs):
        return Section("more", "More", "Why?", (Text("more", "Because *so*."),), "So it is.")

    page = build([], context(sections=[added]), tmp_path).read_text()
    assert "<p>Because <em>so</em>.</p>" in page
    assert re.search(r'<a href="#more">More</a>', page)


def test_a_template_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"template: .*page.html.j2 not found"):
        context(template=tmp_path)


def test_prose_marks_up_after_escaping():
    assert prose("a **b** `<i>`\n\n*c*") == (
        "<p>a <strong>b</strong> <code>&lt;i&gt;</code></p><p><em>c</em></p>"
    )


def test_every_caption_is_short():
    for path in FOLDERS["captions"].glob("*.md"):
        assert 1 <= len(path.read_text().splitlines()) <= 4, path.name
