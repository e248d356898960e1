"""A number is learned."""

from omegaconf import OmegaConf

from tcsm import config
from tcsm.reporting import notes

READS: tuple[str, ...] = (
    "experiment",
    "seed",
    "out",
    "scratch",
    "data",
    "objective",
    "trainer",
    "axes",
    "reference",
    "collected",
)


def main(cfg, out):
    """Write what a run leaves behind."""
    objective = config.build(cfg.objective)
    print(f"training {cfg.experiment}")
    out.mkdir(parents=True, exist_ok=True)
    (out / "config.yaml").write_text(OmegaConf.to_yaml(config.resolve(cfg)))
    for name in ("weights.safetensors", "metrics.jsonl", "telemetry.jsonl"):
        (out / name).write_text(f"{objective.value(cfg.trainer.steps)}")
    for name in ("train.json", "train.telemetry.json"):
        notes.write(out / name, cfg)
