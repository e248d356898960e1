"""dvc.yaml drives the workflow of the Snakefile, and each of the two sees what the other did."""

import shutil
from pathlib import Path

import pytest
import yaml

from tests.dvc.house import CLEAN, KJV, KJV_SCORE, SCORE, TOP, Checkout, folders, plotted, stages
from workflow.runs import Runs


def test_every_folder_of_runs_belongs_to_one_stage() -> None:
    made = {name.partition("/")[0] for name in Runs("default").variants}
    assert sorted(made) == sorted(folders())


@pytest.mark.parametrize("scale", ["smoke", "long"])
def test_what_a_larger_scale_makes_besides_is_listed(scale: str) -> None:
    """Folders of the key ``more`` of params.yaml, whose comment names them."""
    expected = yaml.safe_load((TOP / f"params/scale/{scale}.yaml").read_text())
    besides = {*expected["ablations"]} - {*folders()}
    assert besides
    assert all(f"results/long/{name}" in (TOP / "params.yaml").read_text() for name in besides)


def test_a_stage_asks_for_the_folders_that_it_keeps() -> None:
    for name in ("pretrain", "ablations", "post_training"):
        stage = stages()[name]
        expected = stage["cmd"].split("${scale} ")[1].split()
        assert [next(iter(out)) for out in stage["outs"]] == [
            f"results/${{scale}}/{folder}" for folder in expected
        ]
        assert all(set(*out.values()) == {"persist"} for out in stage["outs"])


def test_the_plotted_runs_are_those_of_the_report() -> None:
    report = yaml.safe_load((TOP / "params/report/default.yaml").read_text())["report"]
    scale = yaml.safe_load((TOP / "params/scale/default.yaml").read_text())
    shown = [name for name in report["experiments"] if name in scale["pretrain"]]
    assert plotted() == [report["experiments"][name] for name in shown]


def test_git_holds_the_numbers_of_every_scale_and_no_page(fresh: Checkout) -> None:
    """What DVC does not keep, a second clone has from git alone."""
    for folder in ("reports", "reports/long"):
        made = [f"{folder}/{name}" for name in ("metrics.json", "index.html", "tables/bpc.csv")]
        ignored = fresh.run("git", "check-ignore", *made).stdout.split()
        assert ignored == made[1:]


def test_one_command_makes_everything(finished: Checkout) -> None:
    assert (finished.folder / "reports/index.html").exists()
    assert finished.dvc("status").strip() == CLEAN
    assert finished.git("status", "--porcelain") == ""
    assert finished.git("diff", "--name-only", "HEAD~1").split() == [
        "dvc.lock",
        "reports/metrics.json",
    ]


def test_computed_elsewhere_the_lock_is_the_same(finished: Checkout, tmp_path: Path) -> None:
    """What time and machine decide lies in files that DVC does not hash."""
    clone = finished.clone(tmp_path / "clone")
    clone.dvc("repro", "pretrain")
    first, second = (house.folder / f"{KJV}/train.telemetry.json" for house in (finished, clone))
    assert first.read_text() != second.read_text()
    assert clone.git("status", "--porcelain") == ""


def test_again_there_is_nothing_to_do(finished: Checkout) -> None:
    assert "Running stage" not in finished.dvc("repro")
    assert finished.plan() == {}


def test_what_snakemake_made_is_taken_as_it_is(house: Checkout) -> None:
    """`make report` and then `dvc repro`, with neither a lock nor a cache of results."""
    (house.folder / "dvc.lock").unlink()
    shutil.rmtree(house.folder / ".dvc/cache")
    before = house.times()
    house.dvc("repro", "pretrain")
    assert house.times() == before
    assert house.dvc("status", "data", "pretrain").strip() == CLEAN


def test_a_removed_result_is_made_again(house: Checkout) -> None:
    shutil.rmtree(house.folder / "results/default/judge")
    shutil.rmtree(house.folder / "reports/tables")
    house.dvc("repro")
    assert (house.folder / "results/default/judge/testaments/seed-0/collect.json").exists()
    assert (house.folder / "reports/tables/learning.csv").exists()
    assert house.dvc("status").strip() == CLEAN


def test_results_that_were_put_there_are_refused(house: Checkout) -> None:
    """DVC puts old files back, and Snakemake believes them to be those that it made last."""
    house.edit(*SCORE)
    assert house.snakemake("kjv").returncode == 0
    assert (house.folder / KJV_SCORE).read_text() == "9.0"
    house.dvc("checkout", "--force")
    done = house.run("dvc", "repro")
    assert done.returncode != 0
    assert "results/default/kjv/score/seed-0: was not made here" in done.stderr
    house.edit(SCORE[0], SCORE[2], SCORE[1])
    assert house.make("checkout").returncode == 0
    assert "Running stage" not in house.dvc("repro")


def test_results_without_a_record_are_refused(house: Checkout) -> None:
    """Snakemake would call them done, whatever the parameters."""
    shutil.rmtree(house.folder / ".snakemake")
    house.edit(*SCORE)
    before = (house.folder / "dvc.lock").read_bytes()
    done = house.run("dvc", "repro")
    assert done.returncode != 0
    assert "results/default/acceleration/light/seed-0: was not made here" in done.stderr
    assert (house.folder / "dvc.lock").read_bytes() == before


def test_the_lock_is_checked_without_data(finished: Checkout, tmp_path: Path) -> None:
    clone = finished.clone(tmp_path / "clone")
    done = clone.make("check")
    assert (done.returncode, done.stdout) == (0, "")
    clone.edit(*SCORE)
    clone.edit("reports/template/page.md", "template", "another")
    clone.edit("dvc.yaml", "${scale} kjv", "${scale} kjv data")
    done = clone.make("check")
    assert done.returncode != 0
    behind = ["command", "params", "reports/template"]
    assert sorted(done.stdout.split("\n")[:3]) == [
        f"not what dvc.lock is of: {it}" for it in behind
    ]
