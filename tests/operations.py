"""Count what the operations of a computation write."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class Counted(TorchDispatchMode):
    """All numbers that operations write, views apart, and the most that one of them writes."""

    def __init__(self):
        super().__init__()
        self.total, self.largest = 0, 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        out = operation(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor) and out._base is None:
            self.total += out.numel()
            self.largest = max(self.largest, out.numel())
        return out
