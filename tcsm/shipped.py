"""Folders that come with the package: params, and what a report is made with."""

from pathlib import Path

PACKAGE = Path(__file__).parent


def places(folder: str | Path) -> tuple[Path, ...]:
    """Where a folder is looked for: here, inside an installed package, beside a checkout's."""
    return (Path(folder), PACKAGE / folder, PACKAGE.parent / folder)


def shipped(folder: str | Path, sign: str) -> Path:
    """Return the first of the places of a folder that holds a file, else the folder as it is."""
    return next((path for path in places(folder) if (path / sign).is_file()), Path(folder))
