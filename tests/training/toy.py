"""A tiny language model, its data as a pure function of the step, and whole runs of it."""

import json
import os
import shutil
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from tcsm.training.checkpoint import save_weights
from tcsm.training.devices import Devices
from tcsm.training.hooks import Hooks
from tcsm.training.identity import Identity
from tcsm.training.loop import fit
from tcsm.training.optim import Cosine, Ema, OptimConfig
from tcsm.training.resume import CheckpointManager
from tcsm.training.shards import Shards
from tcsm.training.state import TrainState
from tests.held import heed_signals

VOCABULARY = 7
THIS = Identity({"model": "toy", "trainer.steps": 40}, frozenset({"trainer.steps"}))
DEVICES = Devices("cpu", threads=1, precision="fp32")


class Net(nn.Module):
    """Its read-out is called beside ``forward``, as models with a masked-only head do."""

    def __init__(self, dropout=0.0):
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, 6)
        self.body = nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Dropout(dropout), nn.LayerNorm(6))
        self.register_buffer("scale", torch.tensor(1.5))

    def forward(self, tokens):
        return self.body(self.embed(tokens)) * self.scale

    def read(self, hidden):
        return hidden @ self.embed.weight.T


@dataclass(frozen=True)
class Batch:
    tokens: torch.Tensor

    def to(self, device):
        return Batch(self.tokens.to(device))


@dataclass(frozen=True)
class Batches:
    total: int = 8
    length: int = 5

    def at(self, step, rank=0, world=1, micro=0, micros=1):
        chance = torch.Generator().manual_seed(step)
        tokens = torch.randint(VOCABULARY, (self.total, self.length), generator=chance)
        return Batch(tokens.chunk(world * micros)[rank * micros + micro])


def loss(net, batch):
    logits = net.read(net(batch.tokens[:, :-1]))
    each = nn.functional.cross_entropy(logits.flatten(0, 1), batch.tokens[:, 1:].flatten())
    return {"loss": each, "spread": logits.detach().std()}


def make_net(dropout=0.0):
    torch.manual_seed(0)
    return Net(dropout)


def make_optim(**changes):
    values = {"steps": 40, "learning_rate": 0.02, "warmup": 5, "decay": Cosine(0.1)}
    values |= {"weight_decay": 0.1, "ema": Ema(0.9), "log_every": 3, "checkpoint_every": 7}
    return OptimConfig(**{**values, **changes})


def train(optim, dropout=0.0, loss=loss, devices=DEVICES, dtype=torch.float32):
    """A run in memory; returns its state and its rows."""
    rows = []
    state = TrainState(make_net(dropout).to(dtype), optim)
    with devices.ready():
        fit(state, loss, Batches(), devices, Hooks(record=rows.append))
    return state, rows


def append(path):
    """A journal's writer that flushes every line."""

    def write(row):
        with path.open("a") as journal:
            journal.write(json.dumps(row) + "\n")

    return write


def run(scratch, out, before=lambda state: None, loss=loss, optim=None, run=THIS):
    """A run that may be killed; ``before`` may meddle once the state is restored."""
    state = TrainState(make_net(0.2), optim or make_optim(accumulate=2), seed=3)
    checkpoints = CheckpointManager(Path(scratch), run)
    checkpoints.resume(state)
    before(state)
    journals = [append(checkpoints.folder / name) for name in ("metrics.jsonl", "telemetry.jsonl")]
    hooks = Hooks(record=journals[0], time=journals[1], checkpoints=checkpoints)
    with DEVICES.ready():
        fit(state, loss, Batches(), DEVICES, hooks)
    Path(out).mkdir(exist_ok=True)
    save_weights(Path(out) / "weights.safetensors", state.weights(), "toy")
    for name in ("metrics.jsonl", "telemetry.jsonl"):
        shutil.copy(checkpoints.folder / name, out)
    shutil.rmtree(checkpoints.folder)
    return state


def run_killed_in_step(scratch, out, step, number=signal.SIGKILL):
    """A run that gets a signal in the middle of a step's second micro-batch."""
    heed_signals()
    calls = []

    def deadly(net, batch):
        calls.append(batch)
        if start[0] * 2 + len(calls) == 2 * step:
            os.kill(os.getpid(), number)
        return loss(net, batch)

    start = []
    run(scratch, out, before=lambda state: start.append(state.step), loss=deadly)


def run_killed_in_save(scratch, out, save):
    """A run that dies in a save, the new file written and not yet in place of the old."""
    replace, saves = os.replace, []

    def deadly(source, target):
        saves.append(target)
        if len(saves) == save:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(source, target)

    os.replace = deadly
    run(scratch, out)


def take_place(rank, world, port):
    """Become a rank, as torchrun's agent makes them: the meeting's port is held by another."""
    places = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world, "MASTER_PORT": port}
    os.environ.update({key: str(value) for key, value in places.items()})
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "TORCHELASTIC_USE_AGENT_STORE": "True"}


def run_rank(rank, world, port, out, accumulate):
    """One process of several that share every batch."""
    take_place(rank, world, port)
    state, rows = train(make_optim(steps=12, accumulate=accumulate), dtype=torch.float64)
    torch.save(({k: v.clone() for k, v in state.tensors().items()}, rows), out)


def run_shards(rank, port, scratch, out, last, damage):
    """One of two processes that spread the weights, until a step; its part is damaged before."""
    take_place(rank, 2, port)
    devices = Devices("cpu", threads=1, precision="fp32", sharded=True)
    net = make_net().double()
    with devices.ready():
        devices.place(net, net)
        state = TrainState(net, make_optim(steps=12, checkpoint_every=4))
        if damage and rank == 1:
            (scratch / damage).write_bytes(b"nothing")
        checkpoints = Shards(scratch, THIS, devices.main, devices.any, rank=rank, world=2)
        checkpoints.resume(state)
        begun = state.step

        def until(net, batch):
            if state.step == last:
                raise StopIteration
            return loss(net, batch)

        with suppress(StopIteration):
            fit(state, until, Batches(), devices, Hooks(checkpoints=checkpoints))
        weights = {name: value.clone() for name, value in state.weights().items()}
        torch.save((begun, weights, {k: v.clone() for k, v in state.tensors().items()}), out)
