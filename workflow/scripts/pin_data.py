"""Print the sha256 of token files; compare data/ with data.dvc and commit it to DVC's cache.

usage: python -m workflow.scripts.pin_data FILE ...        (from the top of the checkout)
"""

import hashlib
import subprocess
import sys
from pathlib import Path

from dvc.repo import Repo

PIN = "data.dvc"


def keep(made: list[str]) -> None:
    """Put data/, where the workflow makes some files, into DVC's cache if it is as pinned."""
    (stage,) = Repo().stage.collect(PIN)
    (out,) = stage.outs
    if out.changed_checksum():
        others = [str(f) for f in Path("data").rglob("*") if f.is_file() and str(f) not in made]
        advice = f"move {', '.join(others[:3])} out of data; other texts have their own data.root"
        anew = f"snakemake --cores 1 --forcerun prepare {made[0]}"
        sys.exit(
            f"tcsm: error: data: md5 is {out.get_hash().value}, {PIN} pins {out.hash_info.value}; "
            + (f"{advice}=results/data/NAME" if others else f"make it anew: {anew}")
            + f"; or pin what is there: dvc commit -f {PIN}"
        )
    commit = [sys.executable, "-m", "dvc", "--wait-for-lock", "commit", "-q", "--force", PIN]
    if out.changed_cache() and subprocess.run(commit, check=False).returncode:
        print(f"{PIN}: the data is as pinned, but not in DVC's cache", file=sys.stderr)


if __name__ == "__main__":
    files = sys.argv[1:]
    if Path(PIN).exists() and any(file.startswith("data/") for file in files):
        if Path(".git").exists():
            keep(files)
        else:
            print(f"{PIN}: not a git checkout, so it is not compared", file=sys.stderr)
    for file in files:
        with open(file, "rb") as content:
            print(f"{hashlib.file_digest(content, 'sha256').hexdigest()}  {file}")
