"""Print the sha256 of token files; compare data/ with data.dvc and commit it to DVC's cache.

usage: python pin_data.py FILE ...        (from the top of the checkout)
"""

import fcntl
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import yaml
from pathspec import GitIgnoreSpec

from tcsm.errors import InputError

PIN, IGNORED = Path("data.dvc"), Path(".dvcignore")


def digest(file: Path, algorithm: str) -> str:
    """The checksum of a file."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, algorithm).hexdigest()


def listed(folder: Path) -> list[Path]:
    """The files below a folder that DVC sees, in the order of their names.

    Files that ``.dvcignore`` names are left out.
    """
    lines = IGNORED.read_text("utf-8").splitlines() if IGNORED.exists() else []
    ignored = GitIgnoreSpec.from_lines(lines)
    files = (file for file in folder.rglob("*") if file.is_file())
    return sorted(file for file in files if not ignored.match_file(file.as_posix()))


def directory_md5(folder: Path) -> str:
    """What DVC writes into a ``.dvc`` file for a folder."""
    files = listed(folder)
    names = [file.relative_to(folder).as_posix() for file in files]
    entries = [
        {"md5": digest(file, "md5"), "relpath": name}
        for name, file in sorted(zip(names, files, strict=True))
    ]
    return hashlib.md5(json.dumps(entries, sort_keys=True).encode()).hexdigest() + ".dir"


def verify(folder: Path, pin: Path, made: list[Path]) -> None:
    """Compare a folder with the checksum that is pinned in a ``.dvc`` file.

    Args:
        folder: what is pinned.
        pin: the ``.dvc`` file.
        made: the files that the workflow makes there.

    Raises:
        InputError: they differ, or other files lie there.
    """
    expected = yaml.safe_load(pin.read_text("utf-8"))["outs"][0]["md5"]
    found = directory_md5(folder)
    if found == expected:
        return
    if strangers := [str(file) for file in listed(folder) if file not in made]:
        shown = ", ".join(strangers[:3]) + (", ..." if len(strangers) > 3 else "")
        raise InputError(
            f"{folder}: holds {shown}, not of {pin}; move what is yours out of {folder} "
            "(token files of other texts: data.root=results/data/NAME)"
        )
    raise InputError(
        f"{folder}: md5 is {found}, {pin} pins {expected}; make {made[0].parent} anew with: "
        f"snakemake --cores 1 --forcerun prepare {made[0]}, or accept it with: dvc commit -f {pin}"
    )


def commit(pin: Path) -> None:
    """Put verified bytes into the local cache of DVC, if they are not there.

    Raises:
        InputError: DVC failed.
    """
    if not Path(".git").exists():
        print(f"{pin}: not a git checkout, so the data is not committed to DVC", file=sys.stderr)
        return
    folder = Path(".dvc/tmp")
    folder.mkdir(exist_ok=True)
    with (folder / "pin_data.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two at once wait; DVC alone would give up
        if not json.loads(dvc("status", "--json", str(pin))):
            return
        cache = dvc("cache", "dir").strip()
        if "{" in cache or "}" in cache:  # DVC takes them for places to fill in, and fails
            print(
                f"{pin}: the data is not committed to DVC, which needs a cache without braces in "
                f"its path, found {cache}; set one with: dvc cache dir --local FOLDER",
                file=sys.stderr,
            )
            return
        dvc("commit", "--quiet", "--force", str(pin))


def dvc(*arguments: str) -> str:
    """Run DVC with this interpreter and return what it prints."""
    command = [sys.executable, "-m", "dvc", *arguments]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        reason = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise InputError(f"dvc {' '.join(arguments)}: {''.join(reason)}")
    return done.stdout


def main(files: list[Path]) -> None:
    """Verify and commit what is below ``data/``; print the checksums of all files."""
    if any(file.parts[0] == "data" for file in files) and PIN.exists():
        verify(Path("data"), PIN, files)
        commit(PIN)
    for file in files:
        print(f"{digest(file, 'sha256')}  {file}")


if __name__ == "__main__":
    try:
        main([Path(name) for name in sys.argv[1:]])
    except InputError as error:
        sys.exit(f"tcsm: error: {error}")
