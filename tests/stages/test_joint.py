"""A joint model from the command line: trained on a run's reference, evaluated, sampled."""

import json
import shutil

import pytest

from tests.stages.house import NEEDY, PARAMS, finite, likelihood_of

pytestmark = pytest.mark.slow

JOINT = ("experiment=kjv/joint", "weighting=open_mean")
OTHERS = {
    "single": ("neighborhood.size=1",),
    "ball": ("neighborhood=hamming_ball",),
    "edit": ("neighborhood=edit",),
    "semantic": ("neighborhood=semantic",),
    "contrast": ("objective=nce",),
}


def whole(folder, name):
    """All records of a joint run are there and finite."""
    record = json.loads((folder / "evaluate.json").read_text())
    assert (record["experiment"], likelihood_of(folder)["bound"]) == (name, "jointcount")
    assert finite(record)
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert all(row["grad_norm"] > 0 for row in rows)
    for drawn in json.loads((folder / "samples.json").read_text())["runs"]:
        assert drawn["network_calls"] == 9 * drawn["steps"]


def joint(house):
    """The experiments whose model is joint; post-training compares with a reference too."""
    models = {name: house.config(name).model for name in NEEDY if name.startswith("kjv/")}
    return [name for name, model in models.items() if model._target_.endswith(".Joint")]


def test_joint_experiments_go_through_all_stages(house, finished):
    assert "kjv/joint" in joint(house)
    for name in joint(house):
        whole(finished(name), name)


def test_other_estimates_of_its_likelihood(house, finished):
    """By the steps of its sampler, and EDLM's."""
    run = f"evaluation.run={finished('kjv/joint')}"
    for name in ("joint_steps", "edlm"):
        folder = house.good("evaluate", *JOINT, run, f"bound={name}", name=name)
        assert likelihood_of(folder)["bound"] == name.replace("_", "")
        assert finite(likelihood_of(folder))


@pytest.mark.parametrize("other", OTHERS)
def test_other_neighborhoods_and_the_contrast_do_too(house, trained, other):
    reference = f"reference={trained('kjv/mdlm')}"
    for stage in ("train", "evaluate", "sample"):
        folder = house.good(stage, *JOINT, *OTHERS[other], reference, name=other)
    whole(folder, "kjv/joint")


def test_before_a_step_it_is_its_reference(house, trained):
    """The energy starts at 0, so that a variant without steps shows the reference's own bound."""
    reference = f"reference={trained('kjv/mdlm')}"
    none, actual = ("trainer.steps=0", "trainer.warmup=0"), []
    for candidates in (1, 3):
        for stage in ("train", "evaluate"):
            draw = f"bound.candidates={candidates}"
            folder = house.good(stage, *JOINT, *none, reference, draw, name="untrained")
        actual.append(likelihood_of(folder)["splits"]["test"]["bpc"])
    assert actual[0] == pytest.approx(actual[1], rel=1e-6)


def test_a_reference_must_be_there_and_fit(house, trained):
    reference = f"reference={trained('kjv/mdlm')}"
    for given, message in (
        ([], "reference: found null; model=joint needs the folder of a factorized run"),
        (["reference=nowhere"], "nowhere/weights.safetensors"),
        ([reference, "net.depth=2"], "net.depth"),
        ([reference, "bound=count"], "no bound (11.5); set bound=joint"),
    ):
        done = house.run("train", *JOINT, "objective=nce", *given, name="none")
        assert done.code == 2
        assert message in done.err[-1]


def test_a_factorized_model_is_warned_of_larger_blocks(house):
    """At run time and in the params file: its optimum is not the marginals (2.5)."""
    overrides = ("objective=score_whole", "neighborhood=hamming_k", "divergence=bce")
    with pytest.warns(
        UserWarning, match="HammingK moves a factorized posterior off the marginals"
    ):
        house.good("train", *overrides, name="blocks")
    for name in ("neighborhood/hamming_k", "neighborhood/edit", "objective/score_whole"):
        text = (PARAMS / f"{name}.yaml").read_text("utf-8")
        assert "leaves the marginals (2.5)" in " ".join(text.replace("#", "").split())


def test_a_reference_is_known_by_its_weights(house, trained):
    """Wherever it lies; another one in its place would be another model without a word."""
    first, kept, given = (house.root / name for name in ("first", "kept", "given"))
    shutil.copytree(trained("kjv/mdlm"), given)
    folder = house.good("train", *JOINT, f"reference={given}", name="joint")
    house.good("evaluate", name="joint")
    before = (folder / "evaluate.json").read_bytes()
    given.rename(kept)
    shutil.copytree(trained("kjv/distribution"), given)
    for stage in ("evaluate", "sample"):
        done = house.run(stage, name="joint")
        assert (done.code, len(done.err)) == (2, 1)
        assert f"reference: {given}" in done.err[0]
        assert "reference=FOLDER" in done.err[0]
    assert (folder / "evaluate.json").read_bytes() == before
    house.good("evaluate", f"reference={kept}", name="joint")
    assert (folder / "evaluate.json").read_bytes() == before
    done = house.run("evaluate", f"reference={first}", name="joint")
    assert done.code == 2
    assert f"reference: {folder} was trained with {given}, found {first}" in done.err[0]
