"""A world is enumerated."""

from tcsm import config
from tcsm.reporting import notes

READS = ("experiment", "seed", "out", "objective", "trainer", "axes")


def main(cfg, out):
    """Write what a run leaves behind."""
    print(f"enumerating {cfg.experiment} seed {cfg.seed}")
    config.build(cfg.objective)
    out.mkdir(parents=True, exist_ok=True)
    for name in ("config.yaml", "metrics.jsonl", "weights.safetensors"):
        (out / name).write_text(config.resolve(cfg))
    for name in ("exact.json", "exact.telemetry.json"):
        notes.write(out / name, cfg)
