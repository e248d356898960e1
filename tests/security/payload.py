"""A pickle that would tell if it were ever loaded: it makes a file."""

import os
import pickle
from pathlib import Path


class Payload:
    """Loading it runs ``os.mkdir``."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def plant(path: Path, mark: Path) -> None:
    """Put the pickle in the place of a file, bare."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(Payload(mark)))


def plant_torch(path: Path, mark: Path) -> None:
    """Put it there as ``torch.save`` would."""
    import torch

    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"weight": Payload(mark)}, path)
