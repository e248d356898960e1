"""docs/map names what exists; every equation that code or params cite is in docs/math."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

TOP = Path(__file__).parents[1]
NUMBER = r"(?:[1-9]|1[0-2])\.\d{1,2}[a-e]?"
CITED = re.compile(rf"\({NUMBER}(?:[,;][^()]*)?\)")


@dataclass(frozen=True)
class Row:
    """A row of the map: the folder of its table and its five cells."""

    folder: Path
    equations: str
    objects: tuple[str, ...]
    tests: tuple[str, ...]
    params: tuple[str, ...]


def pages(name: str) -> str:
    """Return docs/NAME.md and the pages of docs/NAME."""
    docs = TOP / "docs"
    files = [docs / f"{name}.md", *sorted((docs / name).glob("*.md"))]
    return "\n".join(file.read_text("utf-8") for file in files)


def rows() -> Iterator[Row]:
    folder = TOP
    for line in pages("map").splitlines():
        if heading := re.fullmatch(r"## [^`]+: `(.+)/`", line):
            folder = TOP / heading[1]
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) == 5 and "`" in line:
            objects, tests, params = (tuple(re.findall("`(.+?)`", cell)) for cell in cells[2:])
            yield Row(folder, cells[0], objects, tests, params)


ROWS = list(rows())
FILES = sorted([*(TOP / "tcsm").rglob("*.py"), *(TOP / "params").rglob("*.yaml")])


def definitions(path: Path) -> set[str]:
    """Names bound by a module, and by its classes as ``Class.name``."""
    actual: set[str] = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        actual |= bound(node)
        if isinstance(node, ast.ClassDef):
            actual |= {f"{node.name}.{name}" for inner in node.body for name in bound(inner)}
    return actual


def bound(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        return {node.name}
    targets = node.targets if isinstance(node, ast.Assign) else []
    return {target.id for target in targets if isinstance(target, ast.Name)}


def proofs(folder: Path) -> Path:
    """The tests of a folder of the package, or a folder of tests."""
    inside = folder.relative_to(TOP).parts
    return folder if inside[0] == "tests" else TOP.joinpath("tests", *inside[1:])


def numbered() -> set[str]:
    """The equations that math.md derives: they open a paragraph, in bold."""
    return set(re.findall(rf"(?m)^\*\*\(({NUMBER})\)", pages("math")))


def sections() -> set[str]:
    return set(re.findall(r"(?m)^## (\d+)\.", pages("math")))


def prose(path: Path) -> Iterator[str]:
    """The docstrings of a module, the comments of a params file."""
    if path.suffix == ".yaml":
        yield from re.findall("#.*", path.read_text("utf-8"))
        return
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            yield ast.get_docstring(node) or ""


def cited(text: str) -> set[str]:
    """Equations cited by a text: "(11.3)", "(11.3, 11.4)", "(11.3; uniform: 11.4)"."""
    return {number for group in CITED.findall(text) for number in re.findall(NUMBER, group)}


def test_the_map_has_a_table_for_every_room():
    rooms = {path.name for path in (TOP / "tcsm").iterdir() if (path / "__init__.py").is_file()}
    mapped = {row.folder.name for row in ROWS}
    below = {name.split("/")[0] for row in ROWS for name in row.objects if "/" in name}
    assert rooms <= mapped | below
    assert all(row.objects and row.tests for row in ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.objects[0])
def test_what_the_map_names_exists(row):
    for place in row.objects:
        file, _, name = place.partition(":")
        assert name in definitions(row.folder / file), place
    for name in row.tests:
        assert (proofs(row.folder) / name).is_file(), name
    for name in row.params:
        assert (TOP / "params" / f"{name}.yaml").is_file(), name
    assert cited(row.equations) <= numbered()
    assert set(re.findall(r"§(\d+)", row.equations)) <= sections()


def test_equations_are_numbered_once():
    actual = re.findall(rf"(?m)^\*\*\(({NUMBER})\)", pages("math"))
    assert len(actual) == len(set(actual)) > 60


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(TOP).as_posix())
def test_cited_equations_exist(path):
    text = "\n".join(prose(path))
    assert cited(text) <= numbered()
    assert set(re.findall(r"§(\d+)", text)) <= sections()


def test_links_between_pages_lead_somewhere():
    pages = [TOP / "CONTRIBUTING.md", TOP / "README.md", *(TOP / "docs").rglob("*.md")]
    for page in pages:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
