"""A network's weights spread over the processes (FSDP): each holds and updates a part of them.

Imported by those who shard alone: torch's own code for it takes a second to load.
"""

from typing import cast

from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard


def shard(net: nn.Module, device: str, world: int) -> None:
    """Leaves each process its part of every weight, in place; only ``forward`` sees whole ones.

    What stands in a list of the network is gathered one by one, while it is at work.

    Args:
        net: the same in every process.
        device: its type.
        world: processes.
    """
    mesh = init_device_mesh(device, (world,))
    stacks = [part for part in net.modules() if isinstance(part, nn.ModuleList)]
    for part in (*(block for stack in stacks for block in stack), net):
        fully_shard(part, mesh=mesh)


def exchange(net: nn.Module, last: bool) -> None:
    """Gradients are exchanged after the last micro-batch of a step only."""
    cast(FSDPModule, net).set_requires_gradient_sync(last)
