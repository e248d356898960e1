"""The code of the documentation runs, its site builds, its pages are short."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tcsm.__main__ import run as tcsm
from tests.documents import LANGUAGES, TOP, blocks, run_page

DOCS = TOP / "docs"
PAGES = sorted(page for page in DOCS.rglob("*.md") if "decisions" not in page.parts)
LONGEST = 150


def runs(page: Path) -> bool:
    """Whether a page has code, and tests/test_recipes.py does not follow it."""
    actual = list(blocks(page))
    files = [block.file for block in actual if block.file]
    return not any(file.startswith(("tcsm/", "params/")) for file in files) and any(
        block.language in ("python", "bash") for block in actual
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_a_page_is_short_and_names_the_languages_of_its_blocks(page: Path) -> None:
    assert len(page.read_text("utf-8").splitlines()) <= LONGEST
    assert {block.language for block in blocks(page)} <= LANGUAGES


@pytest.mark.slow
@pytest.mark.parametrize("page", filter(runs, PAGES), ids=lambda page: str(page.relative_to(DOCS)))
def test_the_code_of_a_page_runs(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = dict(os.environ)
    try:
        run_page(page)
    finally:
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mkdocs", reason="the extra docs is not installed")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        command, cwd=TOP, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_loads_nothing(site: Path) -> None:
    assert "<math" in (site / "math/posterior.html").read_text("utf-8")
    for page in site.rglob("*.html"):
        loaded = re.findall(
            r'<(?:script|img|link rel="stylesheet")[^>]* (?:src|href)="(http[^"]*)"',
            page.read_text("utf-8"),
        )
        assert not loaded, page


@pytest.mark.slow
@pytest.mark.parametrize("page", ["index.html", "math/posterior.html"])
def test_the_site_is_searched_without_a_server(site: Path, page: str) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if chromium is None:
        pytest.skip("chromium is not installed")
    seen = []
    with playwright.sync_playwright() as started:
        chrome = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        view = chrome.new_page()
        view.on("console", lambda message: seen.append(message.text))
        view.on("request", lambda request: seen.append(request.url))
        view.goto((site / page).as_uri())
        view.locator(".md-search__input").click()
        view.keyboard.type("infilling")
        found = view.locator(".md-search-result__link")
        found.first.wait_for()
        links = found.evaluate_all("all => all.map(one => one.href)")
        chrome.close()
    assert any(link.endswith("how-to/prompt.html") for link in links)
    assert [text for text in seen if not text.startswith((site.as_uri(), "data:"))] == []


@pytest.mark.slow
def test_the_notebook_runs(tmp_path: Path) -> None:
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    nbformat = pytest.importorskip("nbformat")
    (path,) = (DOCS / "examples").glob("*.ipynb")
    notebook = nbformat.read(path, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=300, resources=resources).execute()


@pytest.mark.slow
def test_the_example_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "page.md"
    run = "out=results/default/kjv/distribution/seed-0"
    example = [block for block in blocks(TOP / "README.md") if block.language == "python"]
    assert len(example) == 1
    page.write_text(
        f"```bash\ntcsm prepare\ntcsm train {run}\n```\n```python\n{example[0].text}```\n"
    )
    run_page(page)


@pytest.mark.slow
def test_every_field_of_a_record_is_explained(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_page(DOCS / "how-to/prompt.md")
    page = (DOCS / "records.md").read_text("utf-8")
    assert tcsm(["evaluate", "out=results/mine"]) == 0
    folder = tmp_path / "results/mine"
    for file in (*folder.glob("*.json"), *folder.glob("*.jsonl")):
        text = file.read_text("utf-8")
        for line in text.splitlines() if file.suffix == ".jsonl" else [text]:
            missing = [key for key in json.loads(line) if f"`{key}`" not in page]
            assert not missing, f"{file.name}: {missing}"
