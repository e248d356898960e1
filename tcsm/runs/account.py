"""Write what a stage leaves beside its record: its configuration and its telemetry."""

from collections.abc import Mapping
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from tcsm.io.layout import FILES
from tcsm.io.records import write_json, write_text


def account(cfg: DictConfig, out: Path, stage: str, telemetry: Mapping[str, object]) -> None:
    """Write ``config.yaml`` and, after the record, ``STAGE.telemetry.json``.

    The latter holds the checksums of both. DVC does not track it, so it may lie beside files of
    another run.

    Raises:
        InputError: They cannot be written.
    """
    write_text(out / "config.yaml", OmegaConf.to_yaml(cfg, resolve=True))
    write_json(out / f"{stage}.telemetry.json", telemetry, ("config.yaml", FILES[stage]))
