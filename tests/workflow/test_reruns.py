"""What an edit reruns: that which it can change, and nothing else."""

import os
import re

import pytest

from tests.workflow.house import House

pytestmark = pytest.mark.slow
ALL_OF_ONE = {"train": 2, "evaluate": 1, "sample": 1, "report": 1}


def test_output_of_the_run(finished: House) -> None:
    run = finished.folder / "results/default/toy/score/seed-1"
    assert (run / "weights.safetensors").read_text() == "6.0"
    assert "seed: 1" in (run / "config.yaml").read_text()
    log = finished.folder / "results/logs/default/train/toy/score/seed-1.log"
    assert log.read_text() == "training toy/score\n"
    times = finished.folder / "results/benchmarks/default/train/toy/score/seed-1.tsv"
    assert times.read_text().startswith("s\t")
    logs = (finished.folder / ".snakemake/log").glob("*.log")
    output = "".join(log.read_text("utf-8") for log in logs)  # other tests start it here, too
    assert re.search(r"(?m)^11 of 12 jobs done, .* left$", output)
    page = (finished.folder / "reports/index.html").read_text()
    assert page.count("results/default/toy/") == 4


def test_comments_and_times_rerun_nothing(house: House) -> None:
    with (house.folder / "params/objective/score.yaml").open("a") as file:
        file.write("# a comment\n")
    house.edit(
        "tcsm/objectives/score_matching.py", '"""The loss."""', "# it is\n\n        # a loss"
    )
    house.edit("tcsm/stages/train.py", '"""A number is learned."""', '"""It learns."""')
    for path in (house.folder / "params").rglob("*.yaml"):
        os.utime(path)
    for path in (house.folder / "results").rglob("weights.safetensors"):
        os.utime(path)
    assert house.plan() == {}


@pytest.mark.parametrize(
    ("path", "old", "new", "plan"),
    [
        ("params/objective/score.yaml", "2.0", "3.0", ALL_OF_ONE),
        ("params/config.yaml", "draws: 4", "draws: 8", {"evaluate": 2, "report": 1}),
        (
            "tcsm/objectives/score_matching.py",
            "self.weight * steps",
            "self.weight + steps",
            ALL_OF_ONE,
        ),
        ("tcsm/reporting/notes.py", 'f"{cfg}"', 'f"{cfg} "', {"report": 1}),
    ],
)
def test_an_edit_reruns_what_it_touches(
    house: House, path: str, old: str, new: str, plan: dict[str, int]
) -> None:
    house.edit(path, old, new)
    assert house.plan() == plan


def test_an_arm_more_reruns_no_other(house: House) -> None:
    (house.folder / "params/experiment/toy/heavy.yaml").write_text(
        "# @package _global_\nexperiment: toy/heavy\nobjective: {weight: 9.0}\n"
    )
    house.edit("params/scale/default.yaml", "toy/score]", "toy/score, toy/heavy]")
    assert house.plan() == {"train": 2, "evaluate": 1, "sample": 1, "report": 1}


def test_another_scale_has_its_own_folders(house: House) -> None:
    expected = {"train": 4, "evaluate": 2, "sample": 2, "report": 1}
    assert house.plan("--config", "scale=tiny") == expected


@pytest.mark.parametrize(
    ("path", "old", "new", "message"),
    [
        (
            "params/objective/score.yaml",
            "2.0",
            "-1",
            "objective.weight must be 0 or more, found -1",
        ),
        ("params/scale/default.yaml", "toy/tokens,", "toy/none,", "toy/none: no such choice"),
    ],
)
def test_bad_params_stop_before_any_job(
    house: House, path: str, old: str, new: str, message: str
) -> None:
    house.edit(path, old, new)
    done = house.snakemake()
    assert done.returncode != 0
    assert message in done.stderr
    assert "steps (" not in done.stderr


def test_bad_command_line(finished: House) -> None:
    done = finished.snakemake("--dry-run", "--config", "scael=tiny")
    assert done.returncode != 0
    assert "scael" in done.stdout + done.stderr
    done = finished.snakemake("--dry-run", "--config", "scale=huge")
    assert "scale=huge: no such choice; allowed: default, grid, tiny" in done.stdout + done.stderr


def test_a_failed_job_leaves_no_output_and_its_log(house: House) -> None:
    house.edit(
        "tcsm/stages/train.py", '    print(f"tr', '    raise ValueError("no")\n    print(f"tr'
    )
    done = house.snakemake("--keep-going")
    assert done.returncode != 0
    run = house.folder / "results/default/toy/score/seed-0"
    assert not (run / "weights.safetensors").exists()
    log = house.folder / "results/logs/default/train/toy/score/seed-0.log"
    assert "ValueError: no" in log.read_text()
