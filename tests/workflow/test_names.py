"""Names and places that users choose: they work, or one line says which do."""

import shutil
from pathlib import Path

import pytest

from tests.workflow.house import House, build

pytestmark = pytest.mark.slow


@pytest.fixture
def house(tmp_path: Path) -> House:
    return build(tmp_path / "house")


def test_capitals_and_another_root_are_planned_from_another_folder(house: House, tmp_path: Path):
    variant = house.folder / "params/experiment/Mine"
    variant.mkdir()
    for name in ("GPT.2-small", "GPT_2-small"):
        (variant / f"{name}.yaml").write_text(
            f"# @package _global_\nexperiment: Mine/{name}\nobjective: {{weight: 9.0}}\n"
        )
    house.edit("params/scale/default.yaml", "toy/score]", "Mine/GPT.2-small, Mine/GPT_2-small]")
    house.edit("params/config.yaml", "data/toy", "./My.tokens/of/toy/")
    for name in ("template", "chapters"):
        (house.folder / "reports" / name).mkdir(parents=True)
    (house.folder / "reports/template/page.html.j2").write_text("page")
    elsewhere = House(tmp_path / "elsewhere")
    elsewhere.folder.mkdir()
    where = ("-s", str(house.folder / "Snakefile"), "-d", str(elsewhere.folder))
    done = elsewhere.snakemake(*where)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (elsewhere.folder / "My.tokens/of/toy/train.tok").exists()
    assert (elsewhere.folder / "results/manifests/My.tokens/of/toy.sha256").exists()
    assert (elsewhere.folder / "results/default/Mine/GPT.2-small/seed-1/train.json").exists()
    assert str(house.folder / "reports/template/page.html.j2") in done.stdout + done.stderr
    assert elsewhere.plan(*where) == {}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("data/toy", "/mnt/tokens", "data.root: /mnt/tokens must"),
        ("data/toy", "'my {x}'", "data.root: my {x} must"),
        ("toy/score", "train/score", "name train is already used by another rule"),
    ],
)
def test_a_name_that_no_rule_matches_is_refused(house: House, old: str, new: str, said: str):
    if old == "toy/score":
        folder = house.folder / "params/experiment" / new.partition("/")[0]
        shutil.copytree(house.folder / "params/experiment/toy", folder)
    house.edit(f"params/{'config' if old == 'data/toy' else 'scale/default'}.yaml", old, new)
    done = house.snakemake("--dry-run")
    assert done.returncode != 0
    lines = [line for line in (done.stdout + done.stderr).splitlines() if said in line]
    assert len(lines) == 1
    assert "Traceback" not in done.stdout + done.stderr
