"""Checkpoints: one safetensors file, written atomically and verified when it is read.

The header holds one JSON text ``tcsm``: the caller's metadata, the version of the format, and a
SHA-256 over this metadata and every tensor's name, type, shape and bytes, in the order of the
names.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialize
from torch import Tensor, nn

from tcsm.errors import InputError
from tcsm.io import renamed
from tcsm.io.atomic import write_atomic
from tcsm.training.state import assign, check_match, named_tensors

FORMAT = 1
Meta = dict[str, str | int | float]


def digest(tensors: Mapping[str, Tensor], meta: Mapping[str, object] | None = None) -> str:
    """Return the SHA-256 of tensors and metadata, independent of device and order."""
    total = hashlib.sha256(json.dumps(dict(meta or {}), sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


def save(path: Path, tensors: Mapping[str, Tensor], meta: Mapping[str, str | int | float]) -> None:
    """Write a checkpoint atomically.

    Raises:
        InputError: The disk is full or cannot be written; the former file is unchanged.
    """
    resting = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    facts: dict[str, object] = {**meta, "format": FORMAT}
    facts["sha256"] = digest(resting, facts)
    write_atomic(path, serialize(resting, {"tcsm": json.dumps(facts, sort_keys=True)}))


def load(path: Path, architecture: str | None = None) -> tuple[dict[str, Tensor], Meta]:
    """Return the tensors (on the CPU) and the metadata of a checkpoint.

    Raises:
        InputError: No such file; a truncated or altered one; another format or architecture.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist; expected a checkpoint: train first")
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {})["tcsm"])
            _check_facts(path, facts, architecture)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise InputError(
            f"{path} is not a whole checkpoint ({_line(error)}); train again"
        ) from error
    written = facts.pop("sha256", None)
    if written != digest(tensors, facts):
        raise InputError(
            f"{path} was altered: its bytes do not match its checksum {written}; train again"
        )
    return tensors, facts


def facts(path: Path) -> Meta:
    """Return the metadata of a checkpoint, unverified; empty if it cannot be read."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata: Meta = json.loads((file.metadata() or {})["tcsm"])
    except (OSError, SafetensorError, ValueError, KeyError):
        return {}
    return metadata


def save_weights(path: Path, weights: Mapping[str, Tensor], architecture: str) -> None:
    """Write the final weights of an unwrapped model, e.g. ``TrainState.weights()``."""
    save(path, weights, {"architecture": architecture})


def load_weights(
    path: Path, model: nn.Module, architecture: str | None = None, key: str = ""
) -> str:
    """Load the weights of a file into an unwrapped model; return their checksum.

    Args:
        path: The file.
        model: The unwrapped model.
        architecture: The architecture that the file must have, None for any.
        key: Key of the configuration that names the file, for errors.

    Raises:
        InputError: As in ``load``, or the tensors are not this model's.
    """
    try:
        tensors, _ = load(path, architecture)
    except InputError as error:
        raise InputError(f"{key}{error}") from error
    check_match(tensors, named_tensors(model), f"{key}{path}")
    assign(named_tensors(model), tensors)
    return digest(tensors)


def _check_facts(path: Path, facts: Mapping[str, object], architecture: str | None) -> None:
    """Check format and architecture; the error shows the words that differ.

    Raises:
        InputError: Another format or architecture.
    """
    if facts.get("format") != FORMAT:
        raise InputError(f"{path} has format {facts.get('format')}, expected {FORMAT}")
    saved = renamed.current(str(facts.get("architecture")))
    if architecture is not None and sorted(saved.split()) != sorted(architecture.split()):
        actual, expected = saved.split(), architecture.split()
        surplus, missing = (
            " ".join(word for word in these if word not in others)
            for these, others in ((actual, expected), (expected, actual))
        )
        raise InputError(f"{path} is of architecture {surplus}, expected {missing}")


def _line(error: Exception) -> str:
    """Return an error's message on one line."""
    return " ".join(str(error).split())
