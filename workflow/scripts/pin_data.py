"""Print the sha256 of token files; see that data/ is what data.dvc pins, and DVC holds it.

usage: python pin_data.py FILE ...        (from the top of the checkout)
"""

import fcntl
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import yaml

from tcsm.errors import InputError

PIN = Path("data.dvc")


def digest(file: Path, algorithm: str) -> str:
    """The checksum of a file."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, algorithm).hexdigest()


def directory_md5(folder: Path) -> str:
    """What DVC writes into a ``.dvc`` file for a folder."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    names = [file.relative_to(folder).as_posix() for file in files]
    entries = [
        {"md5": digest(file, "md5"), "relpath": name}
        for name, file in sorted(zip(names, files, strict=True))
    ]
    return hashlib.md5(json.dumps(entries, sort_keys=True).encode()).hexdigest() + ".dir"


def verify(folder: Path, pin: Path) -> None:
    """Compare a folder with the checksum that is pinned in a ``.dvc`` file.

    Raises:
        InputError: they differ.
    """
    found = directory_md5(folder)
    expected = yaml.safe_load(pin.read_text("utf-8"))["outs"][0]["md5"]
    if found != expected:
        raise InputError(
            f"{folder}: md5 is {found}, {pin} pins {expected}; delete {folder} and run again, or "
            f"accept the new data with: dvc commit -f {pin}"
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
    with (folder / "pin_data.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two at once wait; DVC alone would give up
        if json.loads(dvc("status", "--json", str(pin))):
            dvc("commit", "--quiet", "--force", str(pin))


def dvc(*arguments: str) -> str:
    """Run DVC with this interpreter and return what it prints."""
    command = [sys.executable, "-m", "dvc", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise InputError(f"dvc {' '.join(arguments)}: {''.join(reason)}")
    return done.stdout


def main(files: list[Path]) -> None:
    """Verify and commit what is below ``data/``; print the checksums of all files."""
    if any(file.parts[0] == "data" for file in files) and PIN.exists():
        verify(Path("data"), PIN)
        commit(PIN)
    for file in files:
        print(f"{digest(file, 'sha256')}  {file}")


if __name__ == "__main__":
    try:
        main([Path(name) for name in sys.argv[1:]])
    except InputError as error:
        sys.exit(f"tcsm: error: {error}")
