"""Show a text while it is drawn: redrawn on a terminal, a line a step elsewhere."""

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from typing import Any

import numpy as np
from torch import Tensor, nn

from tcsm.data.tokenizers import Tokenizer
from tcsm.errors import InputError
from tcsm.models.base import Posterior

PAUSE = 0.05  # seconds that a state of a small model stays on a terminal
UNKNOWN = "_"


@contextmanager
def watched(model: nn.Module, tokenizer: Tokenizer) -> Iterator[None]:
    """Print on stderr the first sequence before each call of the network, within a block.

    Raises:
        InputError: The model does not draw positions in any order.
    """
    if not isinstance(model, Posterior):
        name = type(model).__name__
        raise InputError(f"sampling.watch: shows a diffusion model, found {name}; leave it out")
    path: Any = model.path
    vocabulary, draw, lines = path.source.vocabulary, model.draw, 0

    def show(x_t: Tensor, t: Tensor, positions: Tensor, u: Tensor) -> Tensor:
        nonlocal lines
        text = f"t={float(t[0]):.2f}  {state(x_t[0].tolist(), vocabulary, tokenizer)}"
        terminal = sys.stderr.isatty()
        back = f"\x1b[{lines}F\x1b[J" if terminal and lines else ""
        print(back + text, file=sys.stderr, flush=True)
        lines = -(-len(text) // shutil.get_terminal_size().columns)
        time.sleep(PAUSE if terminal else 0)
        return draw(x_t, t, positions, u)

    object.__setattr__(model, "draw", show)  # samplers call it once a step
    try:
        yield
    finally:
        object.__delattr__(model, "draw")


def state(tokens: list[int], vocabulary: int, tokenizer: Tokenizer) -> str:
    """Return the text of a state, with "_" for each masked token."""
    groups = groupby(tokens, lambda token: token >= vocabulary)
    parts = [(masked, np.array(list(ids))) for masked, ids in groups]
    text = "".join(
        UNKNOWN * len(ids) if masked else tokenizer.decode(ids) for masked, ids in parts
    )
    return "".join(c if c.isprintable() else " " for c in text)
