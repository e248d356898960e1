"""Learning rates: every variant of a question at the same few, at a seed that no report shows.

    python -m benchmarks.rates --scale default density_ratio tilt reward preference

A copy of ``params/`` below ``results/rates`` gives each question one axis more, the rate, and the
scale one seed. Variants are compared by the validation split and by the reward, where the report
asks the test split and the judge. Prints the rate that each variant does best at. What is there is
not made again: remove the folder to begin anew.
"""

import argparse
import contextlib
import json
import math
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import yaml

from benchmarks.measure import commit, processor
from benchmarks.rates_plan import QUESTIONS, ask
from tcsm.io.layout import FILES
from tcsm.reporting.ablations import read
from tcsm.reporting.frames import Frames
from tcsm.runs.outcome import Outcome, read_runs
from tcsm.statistics import wins
from workflow.runs import Runs

SEED = 3
LIMIT = 0.05  # of the starting model's validation BPC
TOP, FOLDER = Path(__file__).parents[1], Path("results/rates")
RESULT = Path("benchmarks/results/rates.json")


def write_params(names: Sequence[str], scale: str) -> dict[str, dict]:
    """The copy of ``params/`` in which these questions have their axis and the scale its seed."""
    copy = FOLDER / "params"
    shutil.copytree(TOP / "params", copy, dirs_exist_ok=True)
    plans = {}
    for name in names:
        file = copy / f"ablation/{name}.yaml"
        plans[name] = ask(QUESTIONS[name], yaml.safe_load(file.read_text()), scale)
        file.write_text(yaml.safe_dump(plans[name], sort_keys=False))
    file = copy / f"scale/{scale}.yaml"
    only = {"pretrain": [], "seeds": [SEED], "ablations": list(names), "judge": None}
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), **only}))
    return plans


def run(scale: str) -> None:
    """Everything that the copy asks for and that is not there yet, a stage in one process."""
    runs = Runs(scale)
    for root in runs.roots():
        if not Path(root).exists():
            call("prepare", runs.corpus(root)[0])
    waiting = {**runs.variants}
    while waiting:
        ready = [n for n in waiting if waiting.keys().isdisjoint(runs.facts(n)["needs"].values())]
        for stage, record in FILES.items():
            candidates = [name for name in ready if stage in waiting[name].stages]
            missing = [n for n in candidates if not Path(runs.folder(n, SEED), record).exists()]
            if missing:
                call(stage, runs.text(stage, missing, SEED))
        waiting = {name: variant for name, variant in waiting.items() if name not in ready}


def call(stage: str, text: str) -> None:
    """One command of the console, which must succeed."""
    command = [sys.executable, "-m", "tcsm", stage, "--config", "-"]
    subprocess.run(command, input=text, text=True, check=True)


def table(name: str, scale: str) -> pd.DataFrame:
    """A row a variant and rate: what it is chosen by, what it costs the text."""
    question = QUESTIONS[name]
    runs = read_runs(sorted(FOLDER.glob(f"results/{scale}/{name}/*/seed-{SEED}")))
    rows = read(Frames(runs), name, {}).table.assign(cost=0.0)
    if question.start:
        of = {run.experiment: run for run in runs}
        start = rows[rows[question.axis] == question.start].iloc[0]
        grades = [_graded(of[each], of[start["experiment"]]) for each in rows["experiment"]]
        rows = rows.assign(**pd.DataFrame(grades), cost=rows["valid_bpc"] / start["valid_bpc"] - 1)
    rows["variant"] = [each.rpartition("-")[0] for each in rows["experiment"]]
    rows.loc[~rows["finite"], question.criterion] = math.inf
    kept = dict.fromkeys(
        ["variant", "rate", question.criterion, "valid_bpc", "cost", "cpu_seconds"]
    )
    return rows[rows["rate"].isin(question.rates)][[*kept]]


def _graded(run: Outcome, start: Outcome) -> dict[str, float]:
    """The mean of −R, and the share of comparisons with the start that are lost by R."""
    ours, before = (np.array(one.rewards["rewards"]) for one in (run, start))
    return {"loss": -ours.mean(), "lost": 1 - wins(ours, before)}


def choose(rows: pd.DataFrame, criterion: str) -> dict[str, str]:
    """Variant → the rate of the best criterion at a cost within the limit, else of least cost."""
    chosen = {}
    for variant, group in rows.groupby("variant", sort=False):
        cheap = group[group["cost"] <= LIMIT]
        best = group["cost"].idxmin() if cheap.empty else cheap[criterion].idxmin()
        if len(group) > 1:
            chosen[str(variant)] = str(group.loc[best, "rate"])
    return chosen


def keep(name: str, scale: str, plan: dict, rows: pd.DataFrame, chosen: dict[str, str]) -> None:
    """Write a question's part of the result, with all that it depends on."""
    result = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    cuda = torch.cuda.is_available()
    result[name] = {
        "device": torch.cuda.get_device_name() if cuda else processor(),
        "torch": torch.__version__,
        "commit": commit(TOP),
        "scale": scale,
        "seed": SEED,
        "limit": LIMIT,
        "criterion": QUESTIONS[name].criterion,
        "chosen": chosen,
        "plan": plan,
        "rows": json.loads(rows.to_json(orient="records")),
    }
    RESULT.write_text(json.dumps({"benchmark": "rates", **result}, indent=1) + "\n")


def main() -> None:
    """Run, choose, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("questions", nargs="+", choices=QUESTIONS)
    parser.add_argument("--scale", default="default")
    options = parser.parse_args()
    plans = write_params(options.questions, options.scale)
    with contextlib.chdir(FOLDER):
        run(options.scale)
    for name in options.questions:
        rows = table(name, options.scale)
        chosen = choose(rows, QUESTIONS[name].criterion)
        print(rows.to_string(index=False, float_format="%.4f"), *chosen.items(), sep="\n")
        keep(name, options.scale, plans[name], rows, chosen)


if __name__ == "__main__":
    main()
