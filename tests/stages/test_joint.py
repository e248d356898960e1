"""A joint model from the command line: trained on a run's reference, evaluated, sampled."""

import json

import pytest

from tests.stages.house import finite

JOINT = [f"{key}=joint" for key in ("model", "bound")]
JOINT += ["experiment=kjv/mdlm", "sampler=importance", "divergence=bce"]


@pytest.mark.parametrize(
    "objective",
    [("objective=score_drawn", "neighborhood=hamming_k"), ("objective=nce",)],
    ids=["score", "nce"],
)
def test_a_joint_model_goes_through_all_stages(house, trained, objective):
    name = objective[0].replace("objective=", "joint_")
    reference = f"reference={trained('kjv/mdlm')}"
    for stage in ("train", "evaluate", "sample"):
        folder = house.good(stage, *JOINT, *objective, reference, "weighting=open_mean", name=name)
    record = json.loads((folder / "evaluate.json").read_text())
    assert record["bound"] == "jointcount"
    assert finite(record["splits"]["test"]["bpc"])
    drawn = json.loads((folder / "samples.json").read_text())["runs"][0]
    assert drawn["network_calls"] == 9 * drawn["steps"]


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
