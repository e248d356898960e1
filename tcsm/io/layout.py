"""The files of a run's folder.

The workflow waits for the records, the report reads them.
"""

CONFIG, WEIGHTS = "config.yaml", "weights.safetensors"
# Stage → its record.
FILES = {
    "train": "train.json",
    "evaluate": "evaluate.json",
    "sample": "samples.json",
    "collect": "collect.json",
}
# Stages whose records describe the weights that a training left in the same folder.
LATER = ("evaluate", "sample")


def record_of(stage: str) -> str:
    """Return the name of the record of a stage."""
    return FILES.get(stage, f"{stage}.json")


def telemetry_of(stage: str) -> str:
    """Return the name of the file for what depends on time and machine."""
    return f"{stage}.telemetry.json"
