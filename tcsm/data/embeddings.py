"""Embeddings of tokens from the text itself, by the tokens before and after each."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from tcsm.data.header import read_header
from tcsm.errors import InputError

MOST = 4096  # largest vocabulary: the counts are a square table


@dataclass(frozen=True)
class Contexts:
    """Embeddings whose distance is the Hellinger distance of two tokens' contexts.

    Attributes:
        root: Folder of the prepared splits; the training split is read.
        limit: Number of tokens to count.
    """

    root: str
    limit: int = 1_000_000

    def __call__(self) -> Float64[Tensor, "V D"]:
        """Return square roots of p(next | token) and p(previous | token), side by side.

        Raises:
            InputError: No token file, or a vocabulary too large for a table.
        """
        path = Path(self.root) / "train.tok"
        header = read_header(path)
        size = header.vocabulary
        if size > MOST:
            raise InputError(f"neighborhood.embedding: {size} tokens are too many, {MOST} at most")
        count = min(self.limit, header.count)
        ids = np.fromfile(path, header.dtype, count, offset=header.offset).astype(np.int64)
        pairs = np.bincount(ids[:-1] * size + ids[1:], minlength=size * size)
        table = torch.from_numpy(pairs.reshape(size, size)).double() + 1 / size
        distributions = [part / part.sum(-1, keepdim=True) for part in (table, table.T)]
        return torch.cat(distributions, -1).sqrt()
