"""Made-up but plausible records: six models × three seeds, and the grids of ablations."""

import json
import math
from contextlib import closing
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from tcsm.io.records import Writer, write_json
from tcsm.reporting.page import Report

VARIANTS = {
    "kjv/distribution": "TCSM, distribution",
    "kjv/score": "TCSM, score",
    "kjv/mdlm": "MDLM",
    "kjv/uniform": "TCSM, uniform noise",
    "kjv/teacher": "TCSM, AR teacher",
    "kjv/causal": "Autoregressive",
}
PAIRS = (("kjv/distribution", "kjv/mdlm"), ("kjv/score", "kjv/mdlm"))
LEVEL = dict(zip(VARIANTS, (2.10, 2.14, 2.11, 2.45, 2.06, 1.92), strict=True))
HOSTILE = '<script>alert("x")</script> & the LORD said unto Moses, '
REAL = "in the beginning <b>was</b> the word "
VERSE = "and it came to pass in those days, that there went out a decree "
SEEDS = (0, 1, 2)
LOSSES = {"kl": 2.2, "generalized_kl": 2.2, "hellinger": 2.15, "raw": 15.0}
SOURCES = {"mask": 0.0, "uniform": 0.3}
TAILS = {"zero": 0.4, "fallback": 0.3, "taylor": 0.1}
RULES = {"bce": 1, "pearson": 2}
TARGETS = {"none": 2.2, "hollow": 2.0, "bert": 2.3}
DISTILLED = {"none": 2.2, "taylor": 2.0, "taylor_early": 2.3}  # its last two by other teachers
RATIOS = {
    ("before", "likelihood"): 2.3,
    ("continued", "likelihood"): 2.21,
    ("implicit", "likelihood"): 2.2101,
    ("implicit", "bce"): 2.2,
    ("explicit", "bce"): 2.6,
    ("explicit_clamp", "bce"): 2.5,
    ("explicit_zero", "bce"): 2.22,
}
# Test BPC, the judge's and the reward's mean, entropy, β.
METHODS = {
    "none": (2.0, -1.0, -2.0, 4.0, None),
    "best_of": (None, -0.5, 0.0, 4.0, None),
    "text_2": (2.04, 1.5, 0.0, 3.9, 2.0),
    "text_1": (2.60, 3.0, 4.0, 3.0, 1.0),
    "gradient": (2.02, -1.0, 0.0, 4.0, None),
}
# Test BPC, how much more the judge likes the texts.
PREFERENCES = {
    "reference": (2.0, 0.0),
    "better_tenth": (2.05, 0.3),
    "winners": (2.1, 0.2),
    "paired": (2.2, 1.0),
}
# The judge's BPC and the entropy at 8 steps.
SAMPLERS = {"ancestral": (3.0, 4.0), "remasking": (2.9, 4.0), "confidence": (1.5, 2.0)}
TILTS = {
    ("0.4", "tilt"): 0.03,
    ("0.4", "best"): 0.2,
    ("0.4", "kl_penalty"): 0.01,
    ("0.2", "tilt"): 0.06,
}
ROOT = Path(__file__).parents[2]
FOLDERS = {"template": ROOT / "reports/template", "folder": ROOT / "reports/chapters"}
SETTINGS = {
    "scale": "smoke",
    "judge": None,
    "budget": {"pretrain": 3600.0, "ablations": None, "post_training": None},
    "post_training": [],
}


def report(chapters, experiments=VARIANTS, **changes) -> Report:
    """A report of some chapters, as the checkout has them."""
    pairs = [pair for pair in PAIRS if set(pair) <= experiments.keys()]
    settings = {"title": "Toy", "lead": "A page.", "chapters": chapters, "pairs": pairs}
    settings |= {"experiments": experiments, "settings": SETTINGS, **FOLDERS}
    return Report(**settings | changes)


def make_run(root: Path, experiment: str, seed: int) -> Path:
    draw = np.random.default_rng([list(VARIANTS).index(experiment), seed])
    level = LEVEL[experiment] + 0.01 * draw.standard_normal()
    folder = _folder(root, experiment, seed)
    _train(folder, experiment, seed, level, draw)
    _evaluate(folder, experiment, seed, level)
    _sample(folder, experiment, seed, level)
    for stage, seconds in {"train": 290.0, "evaluate": 21.0, "sample": 14.0}.items():
        write_json(folder / f"{stage}.telemetry.json", _telemetry(seconds + seed))
    return folder


def make_student(
    root: Path, experiment: str, seed: int, level: float, axes=None, teacher: str | None = None
) -> Path:
    """A run of a text ablation: trained, evaluated; BPC is ``level`` up to a seed's own share."""
    folder = _folder(root, experiment, seed, axes=axes or {}, teacher_run=teacher)
    draw = np.random.default_rng([round(1000 * level), seed])
    _train(folder, experiment, seed, level, draw)
    _evaluate(folder, experiment, seed, level + 0.01 * seed)
    with closing(Writer(folder / "telemetry.jsonl")) as writer:
        for step in range(20, 1201, 20):
            times = {"seconds": step / 40, "cpu_seconds": step / 60}
            writer.append({"step": step, "tokens_per_second": 9000.0, **times})
    for stage, seconds in {"train": 20.0, "evaluate": 2.0}.items():
        write_json(folder / f"{stage}.telemetry.json", _telemetry(seconds))
    return folder


def make_exact(root: Path, experiment: str, seed: int, axes, kl: float | None) -> Path:
    """A run in a world that is known whole; without a ``kl`` it was lost."""
    folder = _folder(root, experiment, seed, axes=axes)
    lost = kl is None
    fields = {"kl": kl, "evaluations": 38400, "finite": not lost, "diverged": lost}
    fields |= {"condition": 12.5, "gradient_variance": 0.5}
    _evaluate_toy(folder, experiment, seed, {"exact": fields}, 2.0 + seed)
    return folder


def _evaluate_toy(folder: Path, experiment: str, seed: int, metrics, seconds: float) -> None:
    """Records of a training in a toy world and of its evaluation."""
    owner = {"experiment": experiment, "seed": seed, "weights_sha256": weights(seed)}
    trained = {"stage": "train", "steps": 300, "tokens": 38400, "parameters": 576}
    write_json(folder / "train.json", {**owner, **trained})
    write_json(folder / "train.telemetry.json", _telemetry(seconds))
    write_json(folder / "evaluate.json", {**owner, "stage": "evaluate", "metrics": metrics})


def make_targets(root: Path, experiment: str, seed: int, axes, tv: float) -> Path:
    """The error of one kind of approximate target."""
    folder = _folder(root, experiment, seed, axes=axes)
    errors = {"tv": tv, "tv_se": 0.002, "sequences": 64, "missing": tv / 2, "entropy": 1.25}
    record = {"stage": "evaluate", "experiment": experiment, "seed": seed}
    write_json(folder / "evaluate.json", record | {"metrics": {"targets": errors}})
    spent = {"targets_cpu_seconds": 1.0, "targets_spared_cpu_seconds": 0.5}
    write_json(folder / "evaluate.telemetry.json", {**_telemetry(3.0), **spent})
    return folder


def make_ablations(root: Path, seeds=SEEDS) -> list[Path]:
    """Every kind of ablation in small, and the teacher that it needs."""
    teacher = make_student(root, "teacher/hollow", 0, 1.9)
    kinds = (_divergences, _acceleration, _targets, _exact)
    return [teacher, *(folder for make in kinds for seed in seeds for folder in make(root, seed))]


def make_post_training(root: Path, seeds=SEEDS) -> list[Path]:
    """Distillation, density ratios, rewards, preferences and tilted distributions in small."""
    teachers = {
        name: str(make_student(root, f"teacher/{name}", 0, level))
        for name, level in {"taylor": 1.9, "taylor_early": 2.6}.items()
    }
    folders = [root / f"teacher/{name}/seed-0" for name in teachers]
    for seed in seeds:
        for name, level in DISTILLED.items():
            axes, variant = {"target": name}, f"distillation/{name}"
            folders.append(make_student(root, variant, seed, level, axes, teachers.get(name)))
        folders += [make_ratio(root, place, seed, level) for place, level in RATIOS.items()]
        folders += [make_method(root, name, seed, *v) for name, v in METHODS.items()]
        folders += [make_preference(root, name, seed, *v) for name, v in PREFERENCES.items()]
        folders += [make_tilt(root, place, seed, tv) for place, tv in TILTS.items()]
        folders += [make_drawn(root, name, seed, *v) for name, v in SAMPLERS.items()]
    return folders


def make_drawn(root: Path, name: str, seed: int, level: float, entropy: float) -> Path:
    """Samples of another run, scored by the judge."""
    axes = {"sampler": name, "passes": "8"}
    folder = _folder(root, f"samplers/{name}-8", seed, axes=axes)
    drawn = {"judge_bpc": level + 0.01 * seed, "entropy": entropy, "network_calls": 8, "steps": 8}
    drawn |= {"distinct_4": 0.9, "repetition": 0.1, "sampler": name}
    record = {"stage": "evaluate", "experiment": f"samplers/{name}-8", "seed": seed}
    write_json(folder / "evaluate.json", record | {"metrics": {"generative": drawn}})
    spent = {**_telemetry(9.0), "sampling_cpu_seconds": 2.0}
    write_json(folder / "evaluate.telemetry.json", spent)
    return folder


def make_ratio(root: Path, place: tuple[str, str], seed: int, level: float) -> Path:
    axes = dict(zip(("ratio", "divergence"), place, strict=True))
    return make_student(root, f"density_ratio/{'-'.join(place)}", seed, level, axes)


def make_method(root: Path, name: str, seed: int, *values) -> Path:
    """A graded run; one that is guided was not trained."""
    level, judge, reward, entropy, beta = values
    folder = make_student(root, f"reward/{name}", seed, level or 2.0, {"method": name})
    if level is None:
        for file in [*folder.glob("[em]*.json*"), folder / "train.json"]:
            file.unlink()
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config |= {"data": {"batch": 4}, "batches": {"tilt": {"beta": beta}} if beta else {}}
    config["batches"] |= {"reward": {}} if name == "gradient" else {}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    judged, actual = judge + np.array([-2.0, 0, 2]), reward + np.array([-4.0, 0, 4])
    record: dict[str, Any] = {"count": 3, "repetition": 0.01}
    for key, scores in (("reward", actual), ("judge_reward", judged)):
        sd = float(scores.std(ddof=1))
        record |= {key: {"mean": float(scores.mean()), "sd": sd, "se": 1.0}}
    record |= {"rewards": actual.tolist(), "judge_rewards": judged.tolist(), "entropy": entropy}
    record |= {"reward_calls": 12 * (name == "best_of")}
    record |= {"texts": [f"reward/{name} {number}" for number in range(8)]}
    _add_rewards(folder, f"reward/{name}", seed, record)
    return folder


def _add_rewards(folder: Path, experiment: str, seed: int, rewards: dict[str, Any]) -> None:
    """Add rewards to the record of an evaluation."""
    path = folder / "evaluate.json"
    owner = {"stage": "evaluate", "experiment": experiment, "seed": seed}
    owner |= {"weights_sha256": weights(seed)}
    metrics = json.loads(path.read_text())["metrics"] if path.exists() else {}
    write_json(path, owner | {"metrics": metrics | {"rewards": rewards}})


def make_preference(root: Path, name: str, seed: int, level: float, shift: float) -> Path:
    """A run whose texts the judge likes by a normal distribution, the reward twice as much."""
    folder = make_student(root, f"preference/{name}", seed, level, {"objective": name})
    likes = np.random.default_rng([seed, len(name)]).normal(shift, 1, 400)
    record: dict[str, Any] = {"count": 400}
    record |= {"rewards": (2 * shift + likes).tolist(), "judge_rewards": likes.tolist()}
    record |= {"reward": {"mean": 0.0}, "texts": ["a"], "entropy": 4.0 - 0.1 * shift}
    _add_rewards(folder, f"preference/{name}", seed, record)
    return folder


def make_tilt(root: Path, place: tuple[str, str], seed: int, tv: float) -> Path:
    """A post-trained model beside its known target."""
    axes = dict(zip(("beta", "way"), place, strict=True))
    folder = _folder(root, f"tilt/{'-'.join(place)}", seed, axes=axes)
    record = {"tv": tv + 0.001 * (seed - 1), "kl": tv / 5, "kl_to_pretrained": 0.3, "ess": 0.44}
    record |= {"world": {"tv": tv + 0.02, "kl": 0.1}, "reward_calls": 204800, "finite": True}
    kinds = ("world", "pretrained", "target", "found")
    record["pictures"] = {key: {"most": 0.5, "rows": [[0, 999], [500, 1]]} for key in kinds}
    _evaluate_toy(folder, f"tilt/{'-'.join(place)}", seed, {"tilted": record}, 5.0)
    return folder


def _divergences(root: Path, seed: int):
    for source, loss in product(SOURCES, LOSSES):
        axes, level = {"source": source, "loss": loss}, SOURCES[source] + LOSSES[loss]
        yield make_student(root, f"divergences/{source}-{loss}", seed, level, axes)


def _acceleration(root: Path, seed: int):
    for target, level in TARGETS.items():
        teacher = None if target == "none" else str(root / "teacher/hollow/seed-0")
        name, axes = f"acceleration/{target}", {"target": target}
        yield make_student(root, name, seed, level, axes, teacher)


def _targets(root: Path, seed: int):
    for tail, size in product(TAILS, (1, 2, 4, 8, 16)):
        axes, tv = {"tail": tail, "size": str(size)}, TAILS[tail] / size + 0.002 * seed
        yield make_targets(root, f"targets/{tail}-{size}", seed, axes, tv)


def _exact(root: Path, seed: int):
    for rule, k in product(RULES, (1, 2, 3)):
        kl = None if (rule, k) == ("pearson", 3) else RULES[rule] * 10.0**-k
        axes = {"divergence": rule, "k": str(k)}
        yield make_exact(root, f"exact/{rule}-{k}", seed, axes, kl)


def _folder(root: Path, experiment: str, seed: int, **config) -> Path:
    folder = root / experiment / f"seed-{seed}"
    folder.mkdir(parents=True)
    config |= {"experiment": experiment, "seed": seed}
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    return folder


def _train(folder: Path, experiment: str, seed: int, level: float, draw) -> None:
    with closing(Writer(folder / "metrics.jsonl")) as writer:
        for step in range(20, 1201, 20):
            bits = 4.1 * level / 2 + 3.4 * (step / 20) ** -0.6 + 0.05 * draw.standard_normal()
            record = {"step": step, "tokens": step * 8192, "loss": 1.3 * bits, "lr": 1e-3}
            record |= {"grad_norm": 0.5 + 0.1 * draw.random()}
            if step % 100 == 0:
                record |= {"valid_nats_per_token": bits * math.log(2)}
            writer.append(record)
    train = {"stage": "train", "experiment": experiment, "seed": seed, "parameters": 1_204_736}
    train |= {"steps": 1200, "tokens": 1200 * 8192, "final": record}
    train |= {"weights_sha256": weights(seed), "data_sha256": "da" * 32, "corpus": "kjv"}
    write_json(folder / "train.json", train)


def _evaluate(folder: Path, experiment: str, seed: int, level: float) -> None:
    shared = np.random.default_rng(7)  # texts are harder or easier for every variant alike
    chars = shared.integers(200, 260, size=40)
    hardness = shared.normal(0, 0.1, size=40)
    own = np.random.default_rng([seed, round(1e6 * level)]).normal(0, 0.02, size=40)
    nats = (level + hardness + own) * chars * math.log(2)
    split = {
        "bpc": float(nats.sum() / chars.sum() / math.log(2)),
        "nats": nats.tolist(),
        "chars": chars.tolist(),
    }
    by_noise = [
        {"masked_fraction": x, "nats_per_token": level * (0.4 + 1.9 * x**2), "se": 0.01, "n": 64}
        for x in (0.1, 0.3, 0.5, 0.7, 0.9)
    ]
    record = {"stage": "evaluate", "experiment": experiment, "seed": seed}
    record |= {"weights_sha256": weights(seed)}
    likelihood = {
        "length": 256,
        "epsilon": None,
        "bound": "count" if level > 2 else "exact",
        "splits": {"valid": split, "test": split},
        "by_noise": by_noise if level > 2 else [],
    }
    write_json(folder / "evaluate.json", record | {"metrics": {"likelihood": likelihood}})


def _sample(folder: Path, experiment: str, seed: int, level: float) -> None:
    runs = [
        {
            "sampler": "ancestral",
            "steps": steps,
            "network_calls": steps,
            "texts": [HOSTILE + VERSE * 9, VERSE],
            "traces": [trace(text, steps) for text in (HOSTILE, VERSE)],
            "statistics": {
                "entropy": 4.6 - 0.05 * math.log(steps) + 0.01 * seed,
                "distinct_4": 0.71,
                "repetition": 0.02,
                "judge_bpc": level + 1.8 * steps**-0.4 + 0.02 * seed,
            },
        }
        for steps in (8, 32, 128)
    ]
    record = {"stage": "sample", "experiment": experiment, "seed": seed, "runs": runs}
    record |= {"weights_sha256": weights(seed), "length": 256}
    statistics = {"entropy": 4.1, "distinct_4": 0.9, "repetition": 0.01, "judge_bpc": 1.9}
    record |= {"held_out": {"texts": [REAL, VERSE], "statistics": statistics}}
    write_json(folder / "samples.json", record)


def trace(text: str, steps: int) -> dict[str, list]:
    """A text whose positions are decided from left to right, equally many in a step."""
    return {
        "pieces": list(text),
        "steps": [1 + at * steps // len(text) for at in range(len(text))],
    }


def weights(seed: int) -> str:
    """The hash that the record of a training has."""
    return f"{seed}e" * 32


def _telemetry(seconds: float) -> dict[str, object]:
    versions = {"python": "3.11.7", "torch": "2.13.0", "tcsm": "0.1.0"}
    return {
        "seconds": seconds / 1.6,
        "cpu_seconds": seconds,
        "tokens_per_second": 33_000.0,
        "peak_memory_mib": 812.0,
        "mfu": None,
        "device": "cpu",
        "threads": 2,
        "versions": versions,
        "commit": "0123456789abcdef" * 2,
        "dirty": False,
        "started": "2026-01-01T00:00:00",
    }
