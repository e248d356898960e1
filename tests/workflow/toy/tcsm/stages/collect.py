"""A stage that no toy needs."""

READS = ("experiment", "seed", "out")
