"""What a training keeps while it runs, so that it can go on, and what it leaves at its end."""

import hashlib
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from tcsm.data.tokenfile import TokenFile
from tcsm.reporting.records import write_json, write_text
from tcsm.stages._shared import architecture
from tcsm.training.checkpoint import digest, save_weights
from tcsm.training.devices import Devices
from tcsm.training.hooks import NotFiniteError
from tcsm.training.resume import JOURNALS, Resumable
from tcsm.training.shards import Shards
from tcsm.training.state import TrainState


def resume(cfg: DictConfig, run: str, state: TrainState, devices: Devices) -> Resumable:
    """The scratch folder, and the state as it was left there.

    Raises:
        InputError: the processes do not see the same folder.
    """
    kept = (Path(cfg.scratch), run, devices.main, devices.any)
    resumable = Shards(*kept, devices.rank, devices.world) if devices.spread else Resumable(*kept)
    resumable.begin(state)
    where = f"scratch: {cfg.scratch} must be one folder for all processes; last step"
    devices.require_same(state.step, where)
    return resumable


def counted(descend: Callable[[], object], state: TrainState, resumable: Resumable) -> None:
    """Train; numbers that stop being finite end the run where it was last saved, as a result."""
    if state.step == 0:
        resumable.save(state)
    try:
        descend()
    except NotFiniteError as error:
        if resumable.main:
            print(f"tcsm: {error}", file=sys.stderr)
        resumable.begin(state)


def deliver(
    cfg: DictConfig, out: Path, state: TrainState, weights: Mapping[str, Tensor], data: TokenFile
) -> None:
    """Fill the run's folder; every file appears whole."""
    out.mkdir(parents=True, exist_ok=True)
    save_weights(out / "weights.safetensors", weights, architecture(cfg))
    for name in JOURNALS:
        write_text(out / name, (Path(cfg.scratch) / name).read_text("utf-8"))
    write_text(out / "config.yaml", OmegaConf.to_yaml(cfg, resolve=True))
    rows = (out / "metrics.jsonl").read_text("utf-8").splitlines()
    summary = {
        "stage": "train",
        "experiment": cfg.experiment,
        "seed": cfg.seed,
        "parameters": sum(p.numel() for p in state.model.parameters()),
        "steps": state.step,
        "tokens": state.tokens,
        "final": json.loads(rows[-1]) if rows else {},
        "weights_sha256": digest(weights),
        "data_sha256": data.header.sha256,
    }
    write_json(out / "train.json", summary, ("metrics.jsonl",))


def fingerprint(cfg: DictConfig, *contents: str) -> str:
    """Of everything that decides the run: a saved state of another configuration is left aside.

    Where the results go decides nothing: a run whose folder cannot be written ends in another one.
    What the folders hold that it names does: ``contents`` are digests of them.
    """
    decisive = OmegaConf.masked_copy(
        cfg, [str(key) for key in cfg if key not in ("out", "scratch")]
    )
    text = OmegaConf.to_yaml(decisive, resolve=True) + "".join(contents)
    return hashlib.sha256(text.encode()).hexdigest()
