"""The files of a run's folder.

The workflow waits for the records, the report reads them.
"""

from pathlib import Path

CONFIG, WEIGHTS = "config.yaml", "weights.safetensors"
PUBLISHED = "model.safetensors"  # the weights in a folder of ``tcsm export``, as on the Hub
TOKENS, REWARDS = "sequences.tok", "rewards.safetensors"  # of a collection
REFERENCE = "reference_sha256"  # key of a record: SHA-256 of the reference's weights
JOURNALS = ("metrics.jsonl", "telemetry.jsonl")  # of a training
# Stage → its record.
FILES = {
    "train": "train.json",
    "evaluate": "evaluate.json",
    "sample": "samples.json",
    "collect": "collect.json",
}
# Stage → what other runs may read of it; its record changes whenever they do.
PRODUCTS = {"train": (WEIGHTS,), "collect": (TOKENS, REWARDS)}
# Stages whose records describe the weights that a training left in the same folder.
LATER = ("evaluate", "sample")


def weights_of(folder: Path) -> Path:
    """Return the file with the weights of a run."""
    published = folder / PUBLISHED
    return published if published.is_file() else folder / WEIGHTS


def record_of(stage: str) -> str:
    """Return the name of the record of a stage."""
    return FILES.get(stage, f"{stage}.json")


def telemetry_of(stage: str) -> str:
    """Return the name of the file for what depends on time and machine."""
    return f"{stage}.telemetry.json"


def written(stage: str) -> list[str]:
    """Return what a stage writes into the folder of a run, without the configuration."""
    journals = JOURNALS if stage == "train" else ()
    return [record_of(stage), telemetry_of(stage), *PRODUCTS.get(stage, ()), *journals]
