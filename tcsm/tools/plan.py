"""Say what a training would cost in tokens, FLOPs, hours, memory and disk; run nothing."""

import importlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from tcsm import config
from tcsm.config import defaults
from tcsm.data.header import read_header
from tcsm.errors import InputError
from tcsm.formatting import duration, large
from tcsm.runs.run import Run

USAGE = "tcsm plan EXPERIMENT [KEY=VALUE ...], such as tcsm plan kjv/score scale=full"
GIB = 2**30
# Corpora that are not prepared: tokens of the training split in their own tokenizer, about.
EXPECTED = {
    "kjv": 3.6e6,
    "text8": 90e6,
    "enwik8": 90e6,
    "wikitext103": 118e6,
    "lm1b": 0.9e9,
    "openwebtext": 9.0e9,
}
# Epochs of published protocols, with dropout and early choice by validation BPC, rounded up.
KNOWN = {"text8": 1457}
# Measured FLOP/s of trainings: a thread with AVX2 in fp32 (docs/speed.md); an H100 at an MFU of
# 14 %, with 56 M parameters in bf16, compiled; the same MFU of an A100.
SPEEDS = {"CPU thread (45 GFLOP/s)": 45e9, "A100 (MFU 14 %)": 44e12, "H100 (MFU 14 %)": 137e12}
CAUSAL, DIFFUSION = 4, 100  # epochs after which more of the same text helps little
PER_PARAMETER = 20  # tokens for each parameter with which a model can hardly learn a text by heart


@dataclass(frozen=True)
class Plan:
    """The cost of a training.

    Attributes:
        parameters: Number of parameters of the network.
        tokens: Tokens that are read.
        corpus: Tokens of the training split, None where unknown.
        flops: FLOPs of all steps.
        memory: Estimated peak memory of a device, bytes.
        disk: Bytes of weights and checkpoints.
        causal: Whether the network reads from left to right.
        known: Epochs of the corpus in published protocols, or None.
    """

    parameters: int
    tokens: int
    corpus: float | None
    flops: float
    memory: float
    disk: float
    causal: bool
    known: float | None = None

    @property
    def overfits(self) -> bool:
        """Return whether the text is repeated too often for so many parameters."""
        if self.corpus is None:
            return False
        often = self.tokens / self.corpus > (CAUSAL if self.causal else DIFFUSION)
        return often and self.corpus < PER_PARAMETER * self.parameters


def main(arguments: Sequence[str]) -> int:
    """Print the plan of a training.

    Raises:
        InputError: No network; or more memory or disk than there is, after the plan was printed.
    """
    if not arguments:
        raise InputError(f"plan: found nothing; type {USAGE}")
    named = [word if "=" in word else f"experiment={word}" for word in arguments]
    reads = importlib.import_module("tcsm.stages.train").READS
    cfg = config.cut(defaults.compose(named, reads), reads)
    plan = plan_of(cfg)
    print("\n".join(_lines(cfg, plan)))
    with config.keys_as_set(cfg):
        importlib.import_module("tcsm.runs.memory").require_memory(Run(Path(cfg.out), cfg))
    return 0


def plan_of(cfg: DictConfig) -> Plan:
    """Return the cost of a training by its configuration.

    Raises:
        InputError: It has no network of this package.
    """
    node = OmegaConf.select(cfg, "model.net")
    if node is None or cfg.trainer is None:
        raise InputError(f"plan: experiment={cfg.experiment} trains no network; type {USAGE}")
    memory: Any = importlib.import_module("tcsm.runs.memory")
    size = memory.size_of(config.Unbuilt(node))
    with memory.unallocated():
        net = config.build(node)
    optim: Any = config.build(cfg.trainer)  # which checks its values
    length = cfg.data.length or 1
    parameters = size.parameters or sum(p.numel() for p in net.parameters())
    tokens = optim.steps * cfg.data.batch * length
    average = 0 if optim.ema is None else 4
    return Plan(
        parameters=parameters,
        tokens=tokens,
        corpus=_corpus(cfg),
        flops=net.flops_per_token(length) * tokens,
        memory=_memory(cfg, parameters * (16 + average), size.kept, size.logits),
        disk=parameters * (4 + 2 * (12 + average)),  # the last state stays until the next is whole
        causal=bool(getattr(net, "causal", False)),
        known=KNOWN.get(Path(cfg.data.root or "").name),
    )


def _memory(cfg: DictConfig, weights: int, kept: int, logits: int) -> float:
    """Return the estimated peak: the process, the weights, the activations of a micro-batch.

    The factors are those of trainings on a CPU, where a state is copied when it is saved.

    Args:
        cfg: The configuration.
        weights: Bytes of weights, gradients and averages.
        kept: Bytes of the inputs of linear layers of a token, in half precision.
        logits: Bytes of the logits of a token.
    """
    devices: Any = config.build(cfg.devices)
    shares = devices.processes * devices.nodes
    rows = cfg.data.batch // (shares * cfg.trainer.accumulate)
    activations = kept * (2.0 if devices.bf16 else 3.5) + logits
    copies = 1.75 if devices.device.type == "cpu" else 1.0
    sharded = shares if devices.sharded else 1
    tokens = rows * (cfg.data.length or 1)
    return float(weights * copies / sharded + tokens * activations + 0.45 * GIB)


def _corpus(cfg: DictConfig) -> float | None:
    """Return the number of tokens of the training split, as prepared or as expected."""
    root = cfg.data.root
    with suppress(InputError):
        return read_header(Path(root, "train.tok")).count if root else None
    return EXPECTED.get(Path(root).name)


def _lines(cfg: DictConfig, plan: Plan) -> Iterator[str]:
    """Yield the lines of a plan."""
    net = str(cfg.model.net.get("_target_")).rpartition(".")[2]
    yield f"{cfg.experiment}, {cfg.out}"
    yield f"network   {large(plan.parameters)} parameters ({net})"
    shape = f"{cfg.trainer.steps:,} steps of {cfg.data.batch} × {cfg.data.length or 1}"
    yield f"training  {large(plan.tokens)} tokens: {shape}"
    if plan.corpus:
        epochs = plan.tokens / plan.corpus
        yield f"corpus    {large(plan.corpus)} tokens, so {epochs:,.2f} epochs ({cfg.data.root})"
    elif cfg.data.root:
        yield f"corpus    {cfg.data.root} is not prepared, so its epochs are unknown: tcsm prepare"
    yield f"compute   {plan.flops:.3g} FLOPs"
    for device, speed in SPEEDS.items():
        yield f"          {duration(plan.flops / speed)} on one {device}"
    devices: Any = config.build(cfg.devices)
    memory, disk = map(importlib.import_module, ("tcsm.training.memory", "tcsm.runs.memory"))
    room = f"{memory.in_bytes(memory.capacity(devices.device))} of this {devices.device}"
    yield f"memory    about {memory.in_bytes(plan.memory)}, of {room}"
    free = disk.free_bytes(Path(cfg.out))[1]
    yield f"disk      {memory.in_bytes(plan.disk)} of {memory.in_bytes(free)} that are free"
    if plan.overfits:
        yield _overfitting(cfg, plan)


def _overfitting(cfg: DictConfig, plan: Plan) -> str:
    """Return the line on a text that is repeated too often; a published protocol is named so."""
    corpus = plan.corpus or 1
    epochs, dropout = plan.tokens / corpus, cfg.model.net.get("dropout") or 0
    words = f"{epochs:,.0f} epochs with {plan.parameters / corpus:.2g} parameters a token of text"
    if plan.known and epochs <= plan.known:
        advice = "" if dropout else "; set net.dropout=0.1"
        return (
            f"repeats   {words}: a known protocol, with dropout (here {dropout:g}) and weights "
            f"chosen by validation BPC{advice}"
        )
    return (
        f"overfits  {words}: choose weights by validation BPC, or take a larger corpus, fewer "
        "trainer.steps, another net"
    )
