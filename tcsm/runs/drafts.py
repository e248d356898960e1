"""Save samples before they are scored, so that a failing judge costs no sampling.

A file ``drawn-STAGE.safetensors`` in the run's folder holds them with a digest of all that decides
them. The same command reuses them; it removes the file when its record is written.
"""

import hashlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from tcsm.io.atomic import write_atomic
from tcsm.training.checkpoint import digest
from tcsm.training.devices import Devices
from tcsm.training.state import named_tensors

Tensors = dict[str, Tensor]
PACKAGE = Path(__file__).parents[1]
DRAWS = ("models", "nets", "process", "samplers", "targets")


@dataclass(frozen=True)
class Draft:
    """The samples that a stage draws before it scores them.

    Attributes:
        path: The file.
        identity: A digest of all that decides the samples.
    """

    path: Path
    identity: str

    def load_or_draw(self, draw: Callable[[], Tensors]) -> Tensors:
        """Return the samples of the file if they are the same, else new ones, which are saved.

        Raises:
            InputError: They cannot be written.
        """
        known = self._read()
        if known is not None:
            print(f"tcsm: {self.path}: drawn by an earlier command, taken up", file=sys.stderr)
            return known
        drawn = {name: tensor.cpu().contiguous() for name, tensor in draw().items()}
        write_atomic(self.path, save(drawn, {"identity": self.identity}))
        return drawn

    def _read(self) -> Tensors | None:
        """Return the tensors of the file; None if it is missing, damaged or of other samples."""
        try:
            with safe_open(self.path, framework="pt") as file:
                if (file.metadata() or {}).get("identity") != self.identity:
                    return None
                return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError):
            return None


def draft(out: Path, stage: str, *contents: str) -> Draft:
    """Return the draft of a stage in the folder of its record.

    Args:
        out: The folder.
        stage: The stage.
        contents: All that decides the samples, beside the code.
    """
    code = [path.read_text("utf-8") for path in _code()]
    identity = hashlib.sha256("\n".join([*contents, *code]).encode()).hexdigest()
    return Draft(_file(out, stage), identity)


def _code() -> list[Path]:
    """Return the modules that draw; other code may change while samples are kept."""
    folders = [path for name in DRAWS for path in (PACKAGE / name).rglob("*.py")]
    return sorted([*folders, PACKAGE / "noise.py", PACKAGE / "runs/drawing.py"])


def remove(out: Path, stage: str) -> None:
    """Remove the draft of a stage, once the record of its samples is written."""
    _file(out, stage).unlink(missing_ok=True)


def _file(out: Path, stage: str) -> Path:
    return out / f"drawn-{stage}.safetensors"


def of_model(model: nn.Module, devices: Devices) -> str:
    """Return a digest of a model's weights, and of its device."""
    return f"{digest(named_tensors(model))} {model} {devices.device.type} {devices.precision}"
