"""Runs as tidy frames, one row a run, a split, a stage, a logged step or a sampler run.

This module alone knows the fields of records. Every frame has the columns experiment and seed. A
number that overflowed is null in a record and NaN here, as is one that is unknown.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Real
from pathlib import Path
from typing import SupportsFloat

import numpy as np
import pandas as pd

from tcsm.io.records import Record
from tcsm.runs.outcome import Outcome

Labels = Mapping[str, str]  # experiment → label, in the order shown
KEY = "valid_nats_per_token"
NEEDS = ("teacher_run", "reference", "initial", "collected", "reward_run")
SHOWN = ("axes", "ablation", "corpus", "absent", "finite")
SHARED = ("train", "collect")  # stages of runs that others need
TARGETS = ("targets_cpu_seconds", "targets_spared_cpu_seconds")  # computed, and saved by a cache
TRAINED = ("steps", "tokens", "parameters")
TELEMETRY: tuple[str, ...] = ("cpu_seconds", "seconds", "tokens_per_second", "peak_memory_mib")
TELEMETRY += ("commit", "dirty", "device", "threads", "versions")
TOLERANCE = 0.35  # nats a token
SPIKE = 10.0  # times the median gradient norm


@dataclass(frozen=True, eq=False)
class Frames:
    """All runs of a report as frames."""

    all_runs: Sequence[Outcome]

    @cached_property
    def runs(self) -> pd.DataFrame:
        """One row a run: axes, likelihoods, distances, rewards, cost, health, hashes.

        CPU-seconds: training (cpu_seconds), targets (targets_), needed runs (needed_), all three
        (total_), all stages (all_), drawing (sampling_), training less timed evaluations (spent).
        """
        # Runs name each other by the folders that they were written to, and may lie elsewhere now.
        folders = {Path(str(run.config.get("out"))): run for run in self.all_runs}
        folders |= {run.folder: run for run in self.all_runs}
        return _frame([_row(run, folders) for run in self.all_runs], *SHOWN)

    @cached_property
    def splits(self) -> pd.DataFrame:
        """One row a split of an evaluated run: BPC, and the nats and characters of sequences."""
        rows = [
            {**_place(run), "split": name, "folder": run.folder, "bpc": number(split["bpc"])}
            | {key: np.asarray(split[key], dtype=np.float64) for key in ("nats", "chars")}
            for run in self.all_runs
            for name, split in run.evaluate.get("splits", {}).items()
        ]
        return _frame(rows, "split", "folder", "bpc", "nats", "chars")

    @cached_property
    def stages(self) -> pd.DataFrame:
        """One row a stage of a run: what time and machine decide."""
        rows = [
            {**_place(run), "stage": stage, **telemetry, "commit": telemetry.get("commit") or ""}
            for run in self.all_runs
            for stage, telemetry in run.stages.items()
        ]
        return _frame(rows, "stage", *TELEMETRY)

    @cached_property
    def curves(self) -> pd.DataFrame:
        """One row a logged validation: step, tokens, own CPU-seconds (NaN if unknown), bits."""
        parts = [_curve(run) for run in self.all_runs if KEY in run.metrics]
        empty = _frame([], "step", "tokens", "own", "bits")
        return pd.concat(parts, ignore_index=True) if parts else empty

    @cached_property
    def noise(self) -> pd.DataFrame:
        """One row a noise level of an evaluated run: 0 clean … 1 pure noise, bits a token."""
        rows = [
            {
                **_place(run),
                "bound": run.evaluate["bound"],
                "noise": level.get("masked_fraction", round(1 - level.get("alpha", 0), 9)),
                "bits": level["nats_per_token"] / math.log(2),
            }
            for run in self.all_runs
            for level in run.evaluate.get("by_noise", [])
        ]
        return _frame(rows, "bound", "noise", "bits")

    @cached_property
    def samples(self) -> pd.DataFrame:
        """One row a sampler run: sampler, steps, calls, texts, statistics, traces, real text."""
        rows = [
            {**_place(run)}
            | {key: drawn[key] for key in ("sampler", "steps", "network_calls")}
            | _statistics(drawn)
            | {"traces": drawn.get("traces", []), "real": _statistics(run.samples.get("held_out"))}
            for run in self.all_runs
            for drawn in run.samples.get("runs", [])
        ]
        return _frame(rows, "sampler", "steps", "network_calls")


def labeled(frame: pd.DataFrame, labels: Labels) -> pd.DataFrame:
    """Return the rows of some experiments, in their order and by seed, with the column variant."""
    order = {name: place for place, name in enumerate(labels)}
    rows = frame[frame["experiment"].isin(order)]
    rows = rows.assign(place=rows["experiment"].map(order)).sort_values(
        ["place", "seed"], kind="stable", ignore_index=True
    )
    return rows.assign(variant=rows["experiment"].map(labels))


def number(value: SupportsFloat | None) -> float:
    """Return a number of a record; NaN for null."""
    return math.nan if value is None else float(value)


def needed(run: Outcome, folders: Mapping[Path, Outcome]) -> list[Outcome | None]:
    """Return the runs that a run needs, directly or not, each once; None where not at hand."""
    others: dict[Path, Outcome | None] = {}
    waiting: list[Outcome | None] = [run]
    while waiting:
        one = waiting.pop()
        names = [one.config.get(key) for key in NEEDS] if one else []
        for folder in (Path(name) for name in names if name):
            if folder not in others:
                others[folder] = folders.get(folder)
                waiting.append(others[folder])
    return list(others.values())


def reward_calls(run: Outcome, folders: Mapping[Path, Outcome]) -> float:
    """Return the texts that the reward judged for a run: collected, in training, in guidance."""
    guided = float(run.rewards.get("reward_calls", 0))
    batches = run.config.get("batches") or {}
    if "reward" in batches:
        return guided + float(run.train.get("steps", 0) * run.config["data"]["batch"])
    collected = folders.get(Path(str(run.config.get("collected")))) if "tilt" in batches else None
    return guided + float(collected.collect.get("reward_calls", 0) if collected else 0)


def stopped(run: Outcome) -> bool:
    """Return whether a step was not finite, or training ended early, as it then does."""
    planned = (run.config.get("trainer") or {}).get("steps", 0)
    early = bool(run.train) and bool(run.train["steps"] < planned)
    return early or ("nonfinite" in run.metrics and bool(run.metrics["nonfinite"].max() > 0))


def diverged(metrics: pd.DataFrame) -> bool:
    """Return whether the mean of the last tenth of the log lies TOLERANCE above the best."""
    if KEY not in metrics or metrics[KEY].dropna().empty:
        return False
    logged = metrics[KEY].dropna()
    means = logged.rolling(max(1, len(logged) // 10)).mean()
    return bool(means.iloc[-1] - means.min() > TOLERANCE)


def _frame(rows: Sequence[Record], *columns: str) -> pd.DataFrame:
    """Return rows as a frame; without any it still has these columns."""
    if rows:
        return pd.DataFrame(rows)
    return pd.DataFrame(columns=["experiment", "seed", *columns]).astype({"seed": int})


def _statistics(texts: Record | None) -> Record:
    """Return texts and their statistics as columns; empty without texts."""
    if not texts:
        return {}
    numbers = {key: number(value) for key, value in texts["statistics"].items()}
    return {"texts": texts["texts"], **numbers}


def _place(run: Outcome) -> dict[str, object]:
    return {"experiment": run.experiment, "seed": run.seed}


def _row(run: Outcome, folders: Mapping[Path, Outcome]) -> Record:
    norm = run.metrics.get("grad_norm", pd.Series(dtype=float))
    axes = {str(axis): str(value) for axis, value in (run.config.get("axes") or {}).items()}
    known: Record = {**run.generative, **run.distances, **run.targets, **run.tilted}
    return {
        **{key: number(v) for key, v in known.items() if v is None or isinstance(v, Real)},
        **_place(run),
        "folder": run.folder,
        "axes": axes,
        "ablation": run.experiment.partition("/")[0] if axes else "",
        "trained": bool(run.train),
        "absent": not run.results,
        "bound": _bound(run.evaluate),
        **{f"{split}_bpc": _bpc(run, split) for split in ("test", "valid")},
        **{key: number(run.train.get(key)) for key in TRAINED},
        "world_tv": number(run.tilted.get("world", {}).get("tv")),
        "pictures": run.tilted.get("pictures"),
        "finite": not stopped(run) and bool(known.get("finite", True)),
        "diverged": diverged(run.metrics) or bool(run.distances.get("diverged", False)),
        "spikes": int((norm > SPIKE * norm.median()).sum()),
        "grad_norm": float(norm.max()),
        **_judgment(run, folders),
        **_cost(run, folders),
        **_hashes(run),
    }


def _bound(evaluate: Record) -> str:
    """Return the estimator, and the clamp of time that it needed."""
    clamp = evaluate.get("epsilon")
    return str(evaluate.get("bound", "")) + (f", ε = {clamp:g}" if clamp else "")


def _judgment(run: Outcome, folders: Mapping[Path, Outcome]) -> Record:
    """Return what a reward and an independent judge say of a run's texts."""
    moments = {
        f"{name}_{key}": number((run.rewards.get(record) or {}).get(key))
        for name, record in (("judge", "judge_reward"), ("reward", "reward"))
        for key in ("mean", "sd")
    }
    tilt = (run.config.get("batches") or {}).get("tilt") or {}
    return {
        **moments,
        **{key: run.rewards.get(key) for key in ("judge_rewards", "rewards", "texts")},
        "text_entropy": number(run.rewards.get("entropy")),
        "repetition": number(run.rewards.get("repetition")),
        "calls": reward_calls(run, folders),
        "beta": number(tilt.get("beta")),
    }


def _cost(run: Outcome, folders: Mapping[Path, Outcome]) -> Record:
    """Return the CPU-seconds of a run, of its targets, cached or not, and of the runs it needs."""
    own = _spent(run, ["train"]) - _spent(run, ["train"], "targets_cpu_seconds")
    targets = sum(_spent(run, run.stages, key) for key in TARGETS)
    others = needed(run, folders)
    shared = sum(math.nan if other is None else _spent(other, SHARED) for other in others)
    step = number(run.stages.get("evaluate", {}).get("cpu_seconds_per_step"))
    return {
        "cpu_seconds": own,
        "targets_seconds": targets,
        "needed_seconds": shared,
        "total_seconds": own + targets + shared,
        "all_seconds": _spent(run, run.stages),
        "step_seconds": step,
        "sampling_seconds": _spent(run, ["evaluate"], "sampling_cpu_seconds"),
        "spent": own if math.isnan(step) else step * number(run.train.get("steps")),
        "needed_bpc": [_bpc(one, "test") for one in others if one],
    }


def _bpc(run: Outcome, split: str) -> float:
    return number(run.evaluate.get("splits", {}).get(split, {}).get("bpc"))


def _spent(run: Outcome, stages: Iterable[str], key: str = "cpu_seconds") -> float:
    """Return the CPU-seconds of some stages of a run together; NaN without any telemetry."""
    if not run.stages:
        return math.nan
    return float(sum(run.stages.get(stage, {}).get(key, 0.0) for stage in stages))


def _hashes(run: Outcome) -> Record:
    """Return the hashes of configuration, text, and what a run leaves for others; its corpus."""
    products = [run.train.get("weights_sha256"), run.collect.get("sha256")]
    data = [record.get("data_sha256") for record in (run.train, run.targets)]
    return {
        "config_sha256": run.config_sha256,
        "data_sha256": next((str(digest) for digest in data if digest is not None), ""),
        "weights_sha256": next((str(digest) for digest in products if digest), ""),
        "corpus": _corpus(run),
    }


def _corpus(run: Outcome) -> str:
    """Return the title of a run's corpus; without it in the record, what its config names."""
    title, node = run.train.get("corpus"), run.config.get("corpus") or {} if run.train else {}
    names = (node.get(key) for key in ("path", "name", "member", "_target_"))
    name = next((str(name) for name in names if name), "")
    return str(title or (Path(name).name if "path" in node else name.rpartition(".")[2].lower()))


def _curve(run: Outcome) -> pd.DataFrame:
    logged = run.metrics.dropna(subset=[KEY])
    telemetry = run.telemetry.set_index("step")
    times = telemetry.get("cpu_seconds", pd.Series(dtype=float))
    times = times + telemetry.get("targets_spared_cpu_seconds", 0.0)
    columns: Record = {**_place(run), "step": logged["step"]}
    columns["tokens"] = logged["tokens"].astype(float)
    columns["own"] = logged["step"].map(times).astype(float)
    return pd.DataFrame({**columns, "bits": logged[KEY] / math.log(2)})
