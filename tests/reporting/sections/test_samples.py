import dataclasses
import json

from tcsm.reporting.records import write_json
from tcsm.reporting.runs import read_runs
from tcsm.reporting.sections.base import Chart, Passages
from tcsm.reporting.sections.samples import Samples
from tcsm.reporting.tables import Table

ARMS = {"kjv/score": "Score", "kjv/mdlm": "MDLM"}


def table(section) -> Table:
    return next(block for block in section.blocks if isinstance(block, Table))


def test_samples_show_texts_of_the_first_seed(runs):
    section = Samples(ARMS, characters=20)(runs)
    passages = [block for block in section.blocks if isinstance(block, Passages)]
    assert [block.title for block in passages] == ["Score, seed 0", "MDLM, seed 0"]
    assert [p.heading for p in passages[0].passages] == ["8 steps", "32 steps", "128 steps"]
    assert passages[0].passages[0].texts == ('<script>alert("x")</ …',)
    assert table(section).headers()[4:] == [
        "Judge BPC",
        "Entropy, bits",
        "Distinct-4",
        "Repetition",
    ]
    assert section.answer.startswith("The lowest Judge BPC, ")


def test_a_judge_does_not_praise_itself(runs):
    def judged(run):
        bpc = {"kjv/score": 3.0, "kjv/mdlm": 2.0}.get(run.experiment, 1.0) + 0.1 * run.seed
        drawn = [
            {**one, "statistics": {**one["statistics"], "judge_bpc": bpc + 1 / one["steps"]}}
            for one in run.samples["runs"]
        ]
        return dataclasses.replace(run, samples={**run.samples, "runs": drawn})

    runs = [judged(run) for run in runs]
    assert Samples(ARMS, judge="kjv/causal")(runs).answer == (
        "The lowest Judge BPC, 2.108, is MDLM's at 128 calls."  # 2.1 + 1/128
    )
    assert Samples(ARMS, judge="kjv/mdlm")(runs).answer == (
        "Apart from MDLM, the judge itself, the lowest Judge BPC, 3.108, is Score's at 128 calls."
    )
    assert Samples({"kjv/mdlm": "MDLM"}, judge="kjv/mdlm")(runs).answer == ""


def test_samples_without_a_judge_show_the_rest(folders):
    for folder in folders:
        path = folder / "samples.json"
        record = json.loads(path.read_text())
        for drawn in record["runs"]:
            drawn["statistics"]["judge_bpc"] = None
        write_json(path, record)
    section = Samples(ARMS)(read_runs(folders))
    charts = [block.name for block in section.blocks if isinstance(block, Chart)]
    assert charts == ["samples_entropy"]
    assert table(section).rows()[0][4] == "–"
