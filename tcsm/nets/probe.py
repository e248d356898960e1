"""Check a checkpoint by two tiny forward passes: finite logits, causal or bidirectional."""

from typing import Any

import torch
from torch import Tensor

from tcsm.errors import InputError

LENGTH = 4
SMALL = 2.0**-14  # tolerance relative to the largest logit: repeated passes differ by rounding


@torch.no_grad()
def check_sight(net: Any, name: str) -> None:  # noqa: ANN401  a Hub, whose file imports this one
    """Check a checkpoint's logits against the library's own, and its dependence on later tokens.

    Args:
        net: A `tcsm.nets.hub.Hub`, in evaluation mode.
        name: Name of the checkpoint, for errors.

    Raises:
        InputError: Logits are not finite, or not one per token; the last token changes earlier
            logits
            though ``causal`` is true, or does not though it is false.
    """
    length = min(LENGTH, net.longest or LENGTH)
    x = torch.arange(length)[None] % net.vocabulary
    logits = _logits(net, x)
    _require_same(net, x, logits, name)
    other = x.clone()
    other[:, -1] = (x[:, -1] + max(1, net.vocabulary // 2)) % net.vocabulary
    moved = (_logits(net, other) - logits)[:-1].abs()
    if net.vocabulary == 1 or not len(moved):
        return
    if net.causal and moved.max() > _tolerance(logits):
        raise InputError(
            f"net.causal: found true, but the last token moves earlier logits of {name}; "
            "it does not write from left to right: set it to false, or take pretrained=masked"
        )
    if not net.causal and not moved.any():
        raise InputError(
            f"net.causal: found false, but the last token moves no earlier logit of {name}; "
            "it does not fill in masks: set it to true, or take pretrained=causal"
        )


def _logits(net: Any, x: Tensor) -> Tensor:  # noqa: ANN401
    logits: Tensor = net(x, None, torch.ones_like(x, dtype=torch.bool)).float()
    return logits


def _tolerance(logits: Tensor) -> float:
    return SMALL * float(logits.abs().max())


def _require_same(net: Any, x: Tensor, logits: Tensor, name: str) -> None:  # noqa: ANN401
    """Check that logits are finite and equal the library's own for this text.

    Raises:
        InputError: They are not.
    """
    first, columns = len(net.before), net.numbers[: net.vocabulary]
    ids = torch.cat([net.before[None], net.numbers[x], net.after[None]], 1)
    library = net.lm(input_ids=ids).logits[0, first : first + x.shape[1]].float()
    if library.shape[-1] <= columns.max():
        raise InputError(
            f"net.name: {name} gives {library.shape[-1]} logits, wanted one for its token "
            f"{columns.max()}"
        )
    if not logits.isfinite().all():
        raise InputError(f"net.name: {name} gives logits that are no numbers")
    if (library[:, columns] - logits).abs().max() > _tolerance(logits):
        raise InputError(f"net.name: {name} gives other logits by itself than among our networks")
