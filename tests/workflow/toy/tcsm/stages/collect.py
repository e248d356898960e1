"""A buffer is filled."""

from omegaconf import OmegaConf

from tcsm import config
from tcsm.reporting import notes

READS = ("experiment", "seed", "out", "reference")


def main(cfg, out):
    """Write what a run leaves behind."""
    print(f"collecting seed {cfg.seed}")
    out.mkdir(parents=True, exist_ok=True)
    for name in ("config.yaml", "sequences.tok", "rewards.safetensors"):
        (out / name).write_text(OmegaConf.to_yaml(config.resolve(cfg)))
    for name in ("collect.json", "collect.telemetry.json"):
        notes.write(out / name, cfg)
