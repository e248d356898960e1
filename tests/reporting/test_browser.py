"""The page in a browser: charts, tables, contents, keyboard; nothing is requested or executed."""

import shutil

import pytest

from tests.reporting.drafts import drafts  # noqa: F401 -- a fixture
from tests.reporting.house import HOSTILE, REAL, VARIANTS, report

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]
CHAPTERS = ("summary", "headline", "learning", "samples", "exact")
NAMES = VARIANTS | {"kjv/mdlm": "<script>throw 1</script> <b>MDLM"}
SORTED = "rows => rows.map(row => row.cells[1].textContent)"


def expect(found):
    return playwright.expect(found)


@pytest.fixture(scope="module")
def chrome():
    with playwright.sync_playwright() as started:
        chrome = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chrome
        chrome.close()


@pytest.fixture(scope="module")
def file(runs, ablated, tmp_path_factory):
    out = tmp_path_factory.mktemp("browsed")
    return report(CHAPTERS, NAMES).build([*runs, *ablated], out)


@pytest.fixture
def view(chrome, file):
    """Open the page; at the end nothing may have failed, or have been asked of a server."""
    seen, open_views = [], []

    def opened(width=1440, **options):
        context = chrome.new_context(viewport={"width": width, "height": 1000}, **options)
        page = context.new_page()
        page.on("console", lambda message: seen.append(message.text))
        page.on("pageerror", lambda error: seen.append(str(error)))
        page.on("request", lambda request: seen.append(request.url))
        page.goto(file.as_uri())
        open_views.append(context)
        return page

    yield opened
    for context in open_views:
        context.close()
    assert [text for text in seen if not text.startswith(("data:", file.as_uri()))] == []


def chart(page, name):
    figure = page.locator(f"#figure-{name}")
    figure.scroll_into_view_if_needed()
    figure.locator(".plot svg").wait_for()
    return figure


def test_every_chart_replaces_its_picture(view):
    page = view()
    for name in page.locator("figure.chart").evaluate_all("all => all.map(one => one.id)"):
        page.locator(f"#{name}").scroll_into_view_if_needed()
    page.locator("#figure-bpc_by_variant .plot svg").wait_for()
    count = page.locator("figure.chart").count()
    expect(page.locator("figure.chart .plot svg")).to_have_count(count)
    assert page.locator("#figure-bpc_by_variant .static").is_hidden()


def test_a_legend_hides_runs_by_keyboard_too(view):
    figure = chart(view(), "learning_curves")
    strokes = figure.locator(".mark-line path")
    before = strokes.count()
    button = figure.get_by_role("button", name="Autoregressive")
    button.focus()
    button.press("Enter")
    assert button.get_attribute("aria-pressed") == "false"
    expect(strokes).to_have_count(before - 1)
    button.press("Space")
    expect(strokes).to_have_count(before)


def test_a_name_has_one_color_in_every_chart(view):
    page = view()
    tint = "button => getComputedStyle(button.querySelector('.swatch')).borderTopColor"
    colors = {
        chart(page, name).get_by_role("button", name="Autoregressive").evaluate(tint)
        for name in ("learning_curves", "samples_judge_bpc")
    }
    assert len(colors) == 1


def test_values_are_read_by_hovering_and_stay_text(view):
    page = view()
    figure = chart(page, "bpc_by_variant")
    figure.locator(".mark-symbol path[d]").nth(6).hover(force=True)
    tip = page.locator("#vg-tooltip-element")
    expect(tip).to_be_visible()
    assert "<script>throw 1</script>" in tip.inner_text()
    assert page.locator("main script:not([type])").count() == 0
    assert page.locator("td b, th b").count() == 0


def test_a_chart_is_zoomed_and_reset(view):
    figure = chart(view(), "learning_curves")
    domains = "figure => ['x', 'y'].map(name => figure.view.scale(name).domain())"
    before = figure.evaluate(domains)
    figure.get_by_role("button", name="Zoom in").click()
    for (low, high), (first, last) in zip(figure.evaluate(domains), before, strict=True):
        assert first < low < high < last
    figure.get_by_role("button", name="Reset").click()
    assert figure.evaluate(domains) == before


def test_lines_become_differences_to_one_of_them(view):
    page = view()
    figure = chart(page, "learning_curves")
    figure.get_by_label("Values or differences").select_option("Autoregressive")
    expect(figure.locator(".role-axis-title").last).to_contain_text("less Autoregressive")
    low, high = figure.evaluate("figure => figure.view.scale('y').domain()")
    assert low < 0 < high < 4
    figure.locator(".mark-path path").first.hover(force=True)
    tip = page.locator("#vg-tooltip-element")
    expect(tip).to_contain_text("seeds")
    assert "undefined" not in tip.inner_text()


def test_tables_are_sorted_by_number_and_back(view):
    table = view().locator("#table-headline")
    rows = table.locator("tbody tr")
    original = rows.evaluate_all(SORTED)
    head = table.get_by_role("button", name="Test BPC")
    head.focus()
    head.press("Enter")
    ascending = rows.evaluate_all(SORTED)
    assert ascending == sorted(original, key=lambda text: float(text.split()[0]))
    assert table.locator("th[aria-sort=ascending]").count() == 1
    head.press("Enter")
    assert rows.evaluate_all(SORTED) == ascending[::-1]
    head.press("Enter")
    assert rows.evaluate_all(SORTED) == original


def test_durations_are_sorted_by_time(view):
    numbers = view().evaluate(
        "['8.4 s', '12 min 30 s', '3 h 05 min', '1.20 M', '−0.05 [−0.07, −0.03]', '1,024', '–']"
        ".map(window.tcsm.number)"
    )
    assert numbers[:6] == [8.4, 750, 11100, 1.2e6, -0.05, 1024]


def test_rows_are_filtered_and_columns_chosen(view):
    table = view().locator("#table-headline")
    table.get_by_role("searchbox").fill("tcsm SCORE")
    expect(table.locator("tbody tr:visible")).to_have_count(1)
    assert table.get_by_role("status").inner_text() == f"1 of {len(VARIANTS)} rows"
    assert not table.get_by_role("columnheader", name="Parameters").is_visible()
    table.locator(".picker summary").press("Enter")
    table.get_by_role("checkbox", name="Parameters").check()
    assert table.get_by_role("columnheader", name="Parameters").is_visible()
    table.get_by_role("checkbox", name="Parameters").press("Escape")
    assert not table.locator(".choices").is_visible()


def test_a_slider_shows_how_texts_come_about(view):
    explorer = view().locator(".explorer")
    real, text = (explorer.locator("blockquote").nth(at) for at in (0, 1))
    assert real.inner_text().strip() == REAL.strip()
    assert text.inner_text().strip() == HOSTILE.strip()
    explorer.get_by_label("Steps").select_option("8")
    slider = explorer.get_by_role("slider")
    slider.focus()
    slider.press("Home")
    assert set(text.inner_text()) == {"·"}
    slider.press("ArrowRight")
    assert slider.get_attribute("aria-valuetext") == "step 1 of 8"
    decided = -(-len(HOSTILE) // 8)
    assert text.inner_text()[:decided] == HOSTILE[:decided]
    assert text.locator(".fresh").count() == decided
    assert text.locator(".open").count() == len(HOSTILE) - decided
    explorer.get_by_role("button", name="Play").click()
    expect(text.locator(".open")).to_have_count(0)
    assert explorer.locator("article").count() == len(NAMES) + 1


def test_the_contents_follow(view):
    page = view()
    page.evaluate("document.getElementById('exact').scrollIntoView({behavior: 'instant'})")
    expect(page.locator("nav [aria-current]")).to_have_attribute("href", "#exact")


def test_dark_and_light_can_be_chosen(view):
    page = view(color_scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    page.get_by_role("button", name="Light").click()
    assert page.evaluate(ground) != dark
    page.get_by_role("button", name="Dark").click()
    assert page.evaluate(ground) == dark


def test_commands_are_copied(view):
    page = view(permissions=["clipboard-read", "clipboard-write"])
    page.locator("#summary .copy button").click()
    assert page.evaluate("navigator.clipboard.readText()").startswith("snakemake")


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1440, "light")])
def test_axe_finds_no_violation(view, width, scheme):
    page = view(width, color_scheme=scheme)
    page.evaluate("document.querySelectorAll('main details').forEach(one => { one.open = true; })")
    chart(page, "learning_curves")
    actual = axe.Axe().run(page)
    assert actual.violations_count == 0, actual.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_without_scripts_the_pictures_are_shown(view):
    page = view(java_script_enabled=False)
    assert page.locator("#figure-learning_curves .static").is_visible()
    assert page.locator("#table-headline tbody tr").first.is_visible()
