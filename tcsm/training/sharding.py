"""Shard a network's weights over the processes (FSDP); each holds and updates its shard.

Only sharded runs import this module: torch's own code for it takes a second to load.
"""

from typing import cast

from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard


def shard(net: nn.Module, device: str, world: int) -> None:
    """Shard every weight in place; only ``forward`` sees full weights.

    The items of the network's module lists are gathered one at a time, while they compute.

    Args:
        net: The network, the same in every process.
        device: Type of its device.
        world: Number of processes.
    """
    mesh = init_device_mesh(device, (world,))
    stacks = [part for part in net.modules() if isinstance(part, nn.ModuleList)]
    for part in (*(block for stack in stacks for block in stack), net):
        fully_shard(part, mesh=mesh)


def exchange(net: nn.Module, last: bool) -> None:
    """Exchange gradients after the last micro-batch of a step only."""
    cast(FSDPModule, net).set_requires_gradient_sync(last)
