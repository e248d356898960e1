"""A lock keeps others waiting, and nobody after its holder's end."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tcsm.io.lock import file_lock

TOP = Path(__file__).parents[2]
HOLD = """
import sys
from pathlib import Path
from tcsm.io.lock import file_lock
with file_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


def start(path: Path) -> subprocess.Popen[str]:
    """A process that takes the lock, says so, and holds it until it is given a line."""
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        cwd=TOP,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_file_is_there_while_held_and_gone_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "run" / ".train.lock"
    with file_lock(path):
        assert path.read_text() == f"{os.getpid()}\n"
        (tmp_path / "run" / "weights").touch()
    assert [file.name for file in path.parent.iterdir()] == ["weights"]
    with pytest.raises(KeyboardInterrupt), file_lock(path):
        raise KeyboardInterrupt
    assert not path.exists()


def test_a_folder_in_which_nothing_was_made_is_not_left(tmp_path: Path) -> None:
    with file_lock(tmp_path / "run" / ".train.lock"):
        pass
    assert not (tmp_path / "run").exists()


def test_a_second_process_waits_and_says_for_whom(tmp_path: Path) -> None:
    path = tmp_path / ".train.lock"
    first = start(path)
    assert first.stdout.readline() == "held\n"
    second = start(path)
    assert (
        second.stderr.readline() == f"tcsm: {path}: waiting for the end of process {first.pid}\n"
    )
    assert second.poll() is None
    first.communicate("\n")
    assert second.stdout.readline() == "held\n"
    third = start(path)  # the file that the first removed is not the one that the second holds
    assert f"process {second.pid}" in third.stderr.readline()
    assert second.communicate("\n")[0] == ""
    assert third.communicate("\n")[0] == "held\n"
    assert (first.returncode, second.returncode, third.returncode) == (0, 0, 0)
    assert not path.exists()


def test_a_killed_holder_blocks_nobody(tmp_path: Path) -> None:
    path = tmp_path / ".train.lock"
    first = start(path)
    assert first.stdout.readline() == "held\n"
    first.kill()
    first.communicate()
    assert path.exists()
    with file_lock(path):
        assert path.read_text() == f"{os.getpid()}\n"
    assert not path.exists()


def test_a_file_system_without_locks_is_worked_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", flock)
    with file_lock(tmp_path / ".train.lock"):
        pass
    assert "cannot be locked (No locks available)" in capsys.readouterr().err
    assert list(tmp_path.parent.glob("**/.train.lock")) == []


def test_work_in_a_folder_that_is_removed_on_the_way(tmp_path: Path) -> None:
    """As a training removes its scratch folder."""
    path = tmp_path / "scratch" / ".train.lock"
    with file_lock(path):
        path.unlink()
        path.parent.rmdir()
    assert not path.parent.exists()


def test_a_folder_that_was_made_for_it_goes_unless_something_lies_there(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with file_lock(run / "scratch/.train.lock"):
        assert run.exists()
    assert not run.exists()
    with file_lock(run / "scratch/.train.lock"):
        (run / "config.yaml").touch()
    assert [path.name for path in run.iterdir()] == ["config.yaml"]
    (run / "config.yaml").unlink()
    with file_lock(run / "scratch/.train.lock"):
        pass
    assert run.exists()  # it was there before
