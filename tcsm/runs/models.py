"""Models: built from a configuration, checked against the tokenizer, and loaded from a run."""

import json
from pathlib import Path

import torch
from torch import nn

from tcsm.config import Unbuilt, leaves
from tcsm.data.tokenizers import HuggingFace, Tokenizer
from tcsm.errors import InputError
from tcsm.huggingface import one_line
from tcsm.io.layout import weights_of
from tcsm.models.explicit import Explicit
from tcsm.models.joint import Joint
from tcsm.nets.base import Net, Network
from tcsm.objectives.base import Objective
from tcsm.runs.run import Run
from tcsm.training.checkpoint import load_weights
from tcsm.training.devices import Devices


def build_model(
    part: Unbuilt[nn.Module],
    tokenizer: Tokenizer,
    length: int | None = None,
    reference: str | None = None,
    key: str = "model",
) -> nn.Module:
    """Return a model with sizes that fit the tokenizer.

    Args:
        part: The model of a configuration.
        tokenizer: Tokenizer of the run.
        length: Tokens of a text, if known.
        reference: Folder of the run that the model corrects, if it corrects one.
        key: Key of the model for messages.

    Raises:
        InputError: Network or source have another vocabulary than the tokenizer; the reference
            that a model corrects cannot be loaded.
    """
    _require_own_tokenizer(part, tokenizer, key)
    model = part()
    net = unwrap(model)
    path = getattr(model, "path", None)
    states: int = tokenizer.size + 1 if path is None else path.source.states
    sizes = {f"{key}.net.vocabulary": net.vocabulary}
    if path is not None:
        sizes[f"{key}.path.source.vocabulary"] = path.source.vocabulary
    for name, size in sizes.items():
        if size != tokenizer.size:
            raise InputError(
                f"{name} must be {tokenizer.size}, the size of tokenizer {tokenizer.name}, "
                f"found {size}"
            )
    if net.states < states:
        raise InputError(
            f"{key}.net.extra must be {states - net.vocabulary} or more, room for the mask or the "
            f"start symbol, found {net.states - net.vocabulary}"
        )
    _require_width(net, key, length or 2)
    if isinstance(model, Joint | Explicit):
        _load_reference(model, reference, architecture(part.part("reference")))
    return model


def _require_own_tokenizer(part: Unbuilt[nn.Module], tokenizer: Tokenizer, key: str) -> None:
    """Check that the tokenizer in the folder of a checkpoint is that of the run.

    Raises:
        InputError: It is another one, even of equal size.
    """
    folder = part.value("net.name")
    if folder is None or part.value("net.tokens") is not None:
        return
    if not Path(folder).expanduser().joinpath("tokenizer.json").is_file():
        return
    if HuggingFace(folder, tokenizer.size).fingerprint != tokenizer.fingerprint:
        raise InputError(
            f"{key}.net.name: {folder} holds another tokenizer than {tokenizer.name}; set "
            f"tokenizer.path={folder}, or net.tokens to its id of each clean token"
        )


@torch.no_grad()
def _require_width(net: Network, key: str, length: int) -> None:
    """Check that a network's logits have one column per clean token.

    Raises:
        InputError: There are others, such as one for the mask; the network fails.
    """
    if not isinstance(net, Net):
        return
    x = torch.zeros(1, min(length, net.longest or length), dtype=torch.int64)
    t = torch.full((1,), 0.5) if net.timed else None
    modes = {module: module.training for module in net.modules()}
    name = type(net).__name__
    with one_line(f"{key}.net: {name} cannot read {x.shape[1]} tokens"), torch.random.fork_rng([]):
        width = net.eval()(x, t, x.bool().index_fill(1, x[0, :1], True)).shape[-1]
    for module, training in modes.items():
        module.training = training
    if width != net.vocabulary:
        raise InputError(
            f"{key}.net: {name} gives {width} logits per position, wanted {net.vocabulary}, one "
            "per clean token: the mask or the start symbol is an input, never an output"
        )


def require_tokens(objective: Objective, tokenizer: Tokenizer) -> None:
    """Check the vocabulary of an objective's neighborhood against the tokenizer's.

    Raises:
        InputError: They differ.
    """
    vocabulary = getattr(getattr(objective, "neighborhood", None), "vocabulary", tokenizer.size)
    if vocabulary != tokenizer.size:
        raise InputError(
            f"neighborhood.vocabulary must be {tokenizer.size}, the size of tokenizer "
            f"{tokenizer.name}, found {vocabulary}"
        )


def _load_reference(model: Joint | Explicit, folder: str | None, made_for: str) -> None:
    """Load the weights of the reference that a model corrects.

    Raises:
        InputError: No such run, or one of another architecture.
    """
    if folder is None:
        name = type(model).__name__.lower()
        raise InputError(
            f"reference: found null; model={name} needs the folder of a factorized run"
        )
    fill(unwrap(model.reference), Path(folder), made_for, key="reference: ")


def fill(model: nn.Module, folder: Path, made_for: str | None = None, key: str = "") -> None:
    """Load the weights of a run into an unwrapped model; check them against the run's record.

    Raises:
        InputError: They are missing, damaged, of another network, or not those of the record.
    """
    Run(folder).require_weights(load_weights(weights_of(folder), model, made_for, key))


def unwrap(model: nn.Module) -> Network:
    """Return the network of a model, which is trained and saved."""
    assert isinstance(model.net, Network)
    return model.net


def architecture(part: Unbuilt[nn.Module]) -> str:
    """Return a model's configuration on one line, for the metadata of its weights."""
    values = leaves(part.plain, "model")
    return " ".join(sorted(f"{key}={json.dumps(v, separators=(',', ':'))}" for key, v in values))


def load_model(run: Run, devices: Devices) -> nn.Module:
    """Return the trained model of a run, in evaluation mode.

    Raises:
        InputError: No such weights; weights of the reference that differ from those of its
            training.
    """
    part = run.part("model")
    if run.world is None:
        reference = run.value("reference")
        model = build_model(part, run.tokenizer, run.value("data.length"), reference)
        if isinstance(model, Joint | Explicit):
            run.require_reference(reference)
    else:
        model = part()
    load_trained(model, run)
    return model.to(devices.device).eval()


def load_trained(model: nn.Module, run: Run) -> None:
    """Load the weights of a run into its model.

    Raises:
        InputError: They are missing, damaged, or of another model.
    """
    fill(unwrap(model), run.folder, architecture(run.part("model")))


def load_initial(model: nn.Module, folder: Path, tokenizer: Tokenizer) -> None:
    """Load the weights of the run that the key ``initial`` names.

    A density ratio loads all but the last layer, whose outputs are no distribution of tokens.

    Raises:
        InputError: No such run, one of another network, or of another tokenizer.
    """
    Run(folder).require_tokens("initial", tokenizer.fingerprint, tokenizer.name)
    fill(unwrap(model), folder, key="initial: ")
    if isinstance(model, Explicit):
        model.reset_head()
