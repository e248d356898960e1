"""Folders that come with the package: params, and the files that a report needs."""

from pathlib import Path

PACKAGE = Path(__file__).parents[1]


def places(folder: str | Path) -> tuple[Path, ...]:
    """Return where a folder is searched: here, in the installed package, beside a checkout."""
    return (Path(folder), PACKAGE / folder, PACKAGE.parent / folder)


def shipped(folder: str | Path, sign: str) -> Path:
    """Return the first place of a folder that holds a given file, else the folder itself."""
    return next((path for path in places(folder) if (path / sign).is_file()), Path(folder))
