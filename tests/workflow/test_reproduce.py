"""Results that were put here are refused; times beside the files of another run are removed."""

from pathlib import Path

import pytest

from tcsm.io.records import write_json
from workflow.scripts.reproduce import remove_foreign_times, require_own

TIMES = {"train.telemetry.json", "telemetry.jsonl", "evaluate.telemetry.json"}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a run with two stages."""
    (tmp_path / "telemetry.jsonl").write_text('{"step": 1, "seconds": 2.0}\n')
    write_json(tmp_path / "train.json", {"steps": 1})
    write_json(tmp_path / "evaluate.json", {"bpc": 2.0})
    beside = ("train.json", "telemetry.jsonl")
    write_json(tmp_path / "train.telemetry.json", {"seconds": 2.0}, beside)
    write_json(tmp_path / "evaluate.telemetry.json", {"seconds": 3.0}, ("evaluate.json",))
    return tmp_path


def times(run: Path) -> set[str]:
    remove_foreign_times(run.parent)
    return {path.name for path in run.glob("*telemetry*")}


def test_times_of_this_run_stay(run: Path) -> None:
    assert times(run) == TIMES


def test_times_of_another_training_go(run: Path) -> None:
    write_json(run / "train.json", {"steps": 2})
    assert times(run) == {"evaluate.telemetry.json"}


@pytest.mark.parametrize("damaged", [b"", b"[]", b"\xff"])
def test_times_without_their_record_or_damaged_go(run: Path, damaged: bytes) -> None:
    (run / "evaluate.json").unlink()
    (run / "train.telemetry.json").write_bytes(damaged)
    assert times(run) == set()


@pytest.mark.parametrize(
    "file",
    ["reports/index.html", "results/default/a/b/seed-0/train.json", "results/manifests/a.sha256"],
)
def test_what_snakemake_did_not_write_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    monkeypatch.chdir(tmp_path)
    require_own("default")
    path = Path(file)
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    with pytest.raises(SystemExit, match=rf"{path.parent}: was not made here"):
        require_own("default")
