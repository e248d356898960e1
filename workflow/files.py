"""Files: what a stage writes into the folder of a run, and what other jobs wait for.

Of another run a job reads the products, which are large. It waits for the record, which is small
and changes whenever the products do.
"""

from tcsm.io.layout import FILES

CONFIG = "config.yaml"
SCRATCH = "results/.scratch"  # where a training keeps its state
SPLITS = ("train.tok", "valid.tok", "test.tok")
# What other runs may need of a stage; the stage's record changes whenever they do.
PRODUCTS = {
    "train": ("weights.safetensors",),
    "collect": ("sequences.tok", "rewards.safetensors"),
}
JOURNALS = {"train": ("metrics.jsonl", "telemetry.jsonl")}
# Stages of which the runs of an ablation share a process.
BATCHED = ("evaluate", "collect")


def written(stage: str) -> list[str]:
    """Return what a stage writes into the folder of a run, without the run's configuration."""
    records = [FILES[stage], f"{stage}.telemetry.json"]
    return [*records, *PRODUCTS.get(stage, ()), *JOURNALS.get(stage, ())]


def manifest(root: str) -> str:
    """Return the checksums of the token files of a folder."""
    return f"results/manifests/{root}.sha256"
