"""A teacher is held against the truth."""

READS = ("experiment", "seed", "out", "data.root")
