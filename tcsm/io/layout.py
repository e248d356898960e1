"""The record that each stage writes into the folder of its run.

The workflow waits for these files, the report reads them.
"""

FILES = {
    "train": "train.json",
    "evaluate": "evaluate.json",
    "sample": "samples.json",
    "exact": "exact.json",
    "targets": "targets.json",
    "reward": "reward.json",
    "collect": "collect.json",
    "pair": "pair.json",
    "tilt": "tilt.json",
    "grade": "grade.json",
}
# Stages whose records describe the weights that a training left in the same folder.
LATER = ("evaluate", "sample", "grade")
