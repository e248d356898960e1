"""What a stage leaves beside its record: of what configuration it is, and what it cost."""

from collections.abc import Mapping
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from tcsm.reporting.records import write_json, write_text


def account(cfg: DictConfig, out: Path, stage: str, telemetry: Mapping[str, object]) -> None:
    """Write ``config.yaml`` and ``STAGE.telemetry.json``, which holds the checksum of the former.

    Raises:
        InputError: they cannot be written.
    """
    write_text(out / "config.yaml", OmegaConf.to_yaml(cfg, resolve=True))
    write_json(out / f"{stage}.telemetry.json", telemetry, ("config.yaml",))
