"""Public code that TCSM is compared with, imported from checkouts of the user's."""

from collections.abc import Callable
from pathlib import Path

PEERS = ("mdlm", "flow-matching", "dllm")


def trainer(peer: str) -> Callable:
    """The class of a peer's training step, a `benchmarks.workers.Trainer`."""
    from benchmarks.peers import dllm, flow_matching, mdlm

    classes = {"mdlm": mdlm.Mdlm, "flow-matching": flow_matching.FlowMatching, "dllm": dllm.Dllm}
    return classes[peer]


def absent(checkouts: dict[str, Path]) -> list[str]:
    """A line for every peer without a checkout."""
    return [
        f"{peer}: left out, --{peer} names no checkout" for peer in PEERS if peer not in checkouts
    ]
