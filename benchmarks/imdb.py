"""Reward and preference fine-tuning at scale: film reviews, a transformer of 56 M parameters.

    python -m benchmarks.imdb first --reviews imdb_train.jsonl.gz --tokenizer bert-base-uncased
    python -m benchmarks.imdb sweep --seed 100             one GPU, five to ten minutes each
    python -m benchmarks.imdb tune --seed 0 --rate 1e-4    and another seed

First: text, two classifiers on two halves of the labels (the reward, and its judge), a masked
diffusion model, a collection of its samples. Sweep: two learning rates for every way to tune it
towards praise. Tune: every way at one rate, with equally many reward calls; samples graded by
reward and judge, and the test likelihood. --small tries it all on any machine.
"""

import argparse
import gzip
import json
import re
import subprocess
from pathlib import Path

import torch

from benchmarks import film_classifier
from benchmarks.film_plan import RATES, RESULT, ROOT, SMALL, SWEPT, VARIANTS, Plan, common
from tcsm.__main__ import run
from tcsm.io.records import metrics_of, read_json


def prepare_reviews(reviews: Path) -> Path:
    """The reviews without line breaks: JSON lines for the labels, text for the model."""
    clean = ROOT / "reviews.jsonl"
    ROOT.mkdir(parents=True, exist_ok=True)
    with gzip.open(reviews, "rt") as file, clean.open("w") as out:
        for line in file:
            row = json.loads(line)
            text = " ".join(re.sub(r"<br\s*/?>", " ", row["text"]).split())
            out.write(json.dumps({"text": text, "label": row["label"]}) + "\n")
    with clean.open() as file, (ROOT / "reviews.txt").open("w") as out:
        out.writelines(json.loads(line)["text"] + "\n" for line in file)
    return clean


def stage(name: str, folder: Path, *overrides: str) -> None:
    """One command of the console, which must succeed."""
    places = [f"out={folder}", f"scratch={ROOT / 'scratch' / folder.name}"]
    if run([name, *overrides, *places]) != 0:
        raise SystemExit(f"{name} of {folder} failed")


def first(plan: Plan, reviews: Path, tokenizer: Path) -> None:
    """Text, classifiers, model, collection."""
    clean, sizes = prepare_reviews(reviews), (plan.classifier_steps, plan.classifier_dim)
    facts = [
        film_classifier.train(clean, half, tokenizer, ROOT / group, *sizes)
        for half, group in enumerate(("reward", "reward_judge"))
    ]
    (ROOT / "classifiers.json").write_text(json.dumps(facts))
    print(facts, flush=True)
    base, shared = ROOT / "base", common(plan, tokenizer)
    stage("prepare", base, *shared)
    recipe = [f"trainer.steps={plan.steps}", f"trainer.warmup={plan.steps // 20}"]
    recipe += ["trainer.learning_rate=0.001", "trainer.log_every=50"]
    stage("train", base, *shared, *recipe, "trainer.checkpoint_every=1000000")
    stage("evaluate", base, *shared)
    stage("collect", ROOT / "buffer", *shared, f"reference={base}")


def sweep(plan: Plan, tokenizer: Path, seed: int) -> None:
    """What the base is worth, and every kind of variant at two learning rates."""
    base, shared = ROOT / "base", common(plan, tokenizer)
    stage("evaluate", base, *shared, "metric=[rewards]")
    best = ROOT / "best_of_8"
    guide = "+guide={_target_: tcsm.samplers.guidance.BestOfN, count: 8}"
    stage("evaluate", best, *shared, "metric=[rewards]", guide, f"evaluation.run={base}")
    rows = [described("base", base, 0), described("best_of_8", best, 0)]
    for name in SWEPT:
        for rate in RATES:
            rows.append(tuned(plan, shared, name, seed, rate))
            write(plan, rows)


def tune(plan: Plan, tokenizer: Path, seed: int, rate: float) -> None:
    """Every variant of one seed at one learning rate."""
    rows = json.loads(RESULT.read_text())["rows"]
    for name in VARIANTS:
        rows.append(tuned(plan, common(plan, tokenizer), name, seed, rate))
        write(plan, rows)


def tuned(plan: Plan, shared: list[str], name: str, seed: int, rate: float) -> dict:
    """The row of one fine-tuning."""
    base, folder, own = ROOT / "base", ROOT / f"{name}-{seed}-{rate}", VARIANTS[name]
    start = [f"initial={base}", f"collected={ROOT / 'buffer'}"]
    start += [f"reference={base}"] if "objective=" in " ".join(own) else []
    steps = plan.collected // plan.batch if "batches=on_policy" in own else plan.tuned_steps
    recipe = [f"trainer.steps={steps}", f"trainer.warmup={steps // 10}", "trainer.log_every=10"]
    recipe += [f"trainer.learning_rate={rate}", "trainer.checkpoint_every=1000000"]
    stage("train", folder, *shared, *own, *start, *recipe, f"seed={seed}")
    stage("evaluate", folder, *shared, "metric=[likelihood,rewards]", f"seed={seed}")
    row = {**described(name, folder, seed), "rate": rate}
    print(json.dumps({k: v for k, v in row.items() if k != "texts"}), flush=True)
    return row


def described(name: str, folder: Path, seed: int) -> dict:
    """What the records of a run say."""
    metrics = metrics_of(read_json(folder / "evaluate.json", ()))
    test = metrics.get("likelihood", {}).get("splits", {}).get("test", {})
    kept = ("reward", "judge_reward", "entropy", "distinct_4", "repetition", "reward_calls")
    numbers = {key: metrics["rewards"][key] for key in kept}
    return {
        "variant": name,
        "seed": seed,
        "test_bpc": test.get("bpc"),
        "test_ppl_token": test.get("ppl_token"),
        **numbers,
        "texts": metrics["rewards"]["texts"][:3],
    }


def write(plan: Plan, rows: list[dict]) -> None:
    """Keep what is known so far, with all that it depends on."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    trained = json.loads((ROOT / "base/train.json").read_text())
    speed = json.loads((ROOT / "base/train.telemetry.json").read_text())
    collected = json.loads((ROOT / "buffer/collect.json").read_text())
    document = {
        "benchmark": "imdb",
        "device": device,
        "torch": torch.__version__,
        "commit": commit(),
        "plan": vars(plan),
        "variants": VARIANTS,
        "parameters": trained["parameters"],
        "pretraining": {key: speed[key] for key in ("seconds", "tokens_per_second", "mfu")},
        "classifiers": json.loads((ROOT / "classifiers.json").read_text()),
        "collection": {key: collected[key] for key in ("count", "reward", "ess", "entropy")},
        "rows": rows,
    }
    RESULT.write_text(json.dumps(document, indent=1) + "\n")


def commit() -> str:
    """The commit that is checked out, and whether something was changed."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def main() -> None:
    """One part of the experiment."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=("first", "sweep", "tune"))
    parser.add_argument("--reviews", type=Path, help="JSON lines: text, label")
    parser.add_argument("--tokenizer", type=Path, required=True, help="of 30,522 word pieces")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rate", type=float, default=RATES[0])
    parser.add_argument("--small", action="store_true", help="try it, in minutes on any machine")
    options = parser.parse_args()
    plan = SMALL if options.small else Plan()
    if options.part == "first":
        first(plan, options.reviews, options.tokenizer)
    elif options.part == "sweep":
        sweep(plan, options.tokenizer, options.seed)
    else:
        tune(plan, options.tokenizer, options.seed, options.rate)


if __name__ == "__main__":
    main()
