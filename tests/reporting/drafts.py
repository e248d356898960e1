"""Figures that are not drawn: the tests of pages need their places alone."""

from pathlib import Path

import pytest

from tcsm.reporting import figures

SVG = '<svg width="1" height="1"><g id="a"><use href="#a"/></g></svg>'


def draft(figure, folder: Path, name: str) -> Path:
    assert figure.axes
    for suffix in ("pdf", "png", "svg"):
        figures.write_atomic(folder / f"{name}.{suffix}", SVG.encode())
    return folder / f"{name}.svg"


@pytest.fixture(scope="module", autouse=True)
def drafts():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "save", draft)
        yield
