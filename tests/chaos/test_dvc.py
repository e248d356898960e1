"""What DVC does and does not notice: a pull that was killed, an altered file of its cache."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tcsm.data.tokenfile import Piece, describe, open_tokens, write_tokens
from tcsm.data.tokenizers import Letters
from tcsm.errors import InputError
from tests.chaos.house import long_form
from tests.held import plugged, until

pytestmark = long_form


class Clone:
    """A repository with data in it, and a folder for a remote."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.cache = folder, folder / ".dvc/cache"
        folder.mkdir()
        subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
        self("init", "--quiet")
        self("remote", "add", "--quiet", "--default", "local", str(folder.parent / "remote"))

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "dvc", *arguments],
            cwd=self.folder,
            env={**os.environ, "DVC_NO_ANALYTICS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __call__(self, *arguments: str) -> str:
        running = self.start(*arguments)
        output, _ = running.communicate()
        assert running.returncode == 0, output
        return output

    def publish(self) -> None:
        """Put data/ under DVC, push it, and forget it here."""
        self("add", "--quiet", "data")
        self("push", "--quiet")
        shutil.rmtree(self.folder / "data")
        shutil.rmtree(self.cache)


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path / "clone")


def test_a_killed_pull_is_pulled_again(clone: Clone) -> None:
    data = clone.folder / "data"
    data.mkdir()
    content = {f"{n}.tok": os.urandom(1000) for n in range(6)}
    for name, part in content.items():
        (data / name).write_bytes(part)
    clone.publish()
    md5 = hashlib.md5(content["3.tok"]).hexdigest()
    with plugged(clone.folder.parent / "remote/files/md5" / md5[:2] / md5[2:]):
        running = clone.start("pull")
        try:
            until(lambda: list(clone.cache.rglob("*")), running)
        finally:
            running.kill()
            running.communicate()
    assert not data.exists()
    clone("pull")
    assert {file.name: file.read_bytes() for file in data.iterdir()} == content
    assert "up to date" in clone("status")


def test_what_dvc_does_not_notice_the_file_itself_tells(clone: Clone) -> None:
    """DVC trusts its cache; a token file has a checksum of its own."""
    file, tokenizer = clone.folder / "data/train.tok", Letters()
    ids = tokenizer.encode("the quick brown fox " * 50)
    write_tokens(file, [Piece(ids, len(ids))], describe(tokenizer, "fable", "train"))
    whole = file.read_bytes()
    clone.publish()
    clone("pull")
    (cached,) = (path for path in clone.cache.rglob("*") if path.is_file() and path.suffix == "")
    cached.chmod(0o644)
    cached.write_bytes(whole[:-1] + b"\x07")
    cached.chmod(0o444)
    file.unlink()
    clone("checkout")
    assert "up to date" in clone("status")
    assert file.read_bytes() != whole
    with pytest.raises(InputError, match=r"train\.tok: damaged, its sha256 is wrong"):
        open_tokens(file, tokenizer)
    shutil.rmtree(clone.folder / ".dvc/tmp")  # what DVC remembers of files
    assert "modified" in clone("status")
    shutil.rmtree(clone.cache)
    clone("pull", "--force")
    assert file.read_bytes() == whole
