"""The rows of `benchmarks.gpu` after training: sampling, the bound, and public code."""

from collections.abc import Iterator
from functools import partial

import torch

from benchmarks import measure, peers
from benchmarks.gpu_parts import Row, Settings, tokens
from benchmarks.own import build
from benchmarks.sizes import Size
from benchmarks.timing import memory_mib, per_call, start_memory
from tcsm.evaluation.bound import Count, Time
from tcsm.samplers.ancestral import Ancestral
from tcsm.samplers.first_hitting import FirstHitting


def drawing(settings: Settings, size: Size, kind: type, steps: int) -> dict:
    """Seconds of a batch of samples, fresh weights."""
    model = build(size).to(settings.device).eval()
    sampler = kind(steps=steps, path=model.path)
    start_memory(settings.device)

    def draw() -> object:
        with torch.autocast(settings.device.type, torch.bfloat16):
            return sampler(model, size.batch, size.length, 0)

    seconds = per_call(draw, settings.device, settings.of(3, 1), warm=1)
    return {
        "size": vars(size),
        "steps": steps,
        "network_calls": draw().network_calls,
        "seconds": seconds,
        "tokens_per_second": size.tokens / seconds,
        "peak_mib": memory_mib(settings.device),
    }


def sampling(settings: Settings) -> Iterator[Row]:
    """First-hitting and ancestral sampling, by vocabulary and batch."""
    for name, batch in (("char-85m", 64), ("gpt2-small", 8), ("gpt2-small", 64)):
        size = settings.size(name, batch)
        for kind in (FirstHitting, Ancestral):
            title = f"{kind.__name__}, {name}, batch {batch}, 64 steps"
            call = partial(drawing, settings, size, kind, settings.of(64, 4))
            yield Row(title, call)


def bounding(settings: Settings, size: Size, kind: type, draws: int) -> dict:
    """Seconds of a call of the bound, and the spread of its draws with random weights."""
    model = build(size).to(settings.device).eval()
    made = torch.Generator().manual_seed(2)
    head = model.net.head.weight
    with torch.no_grad():
        head.copy_(torch.randn(head.shape, generator=made) * size.dim**-0.5)
    bound, x_1 = kind(model.path), tokens(size, settings.device)
    ids = torch.arange(len(x_1), device=settings.device)
    estimates = []

    def call() -> None:
        with torch.autocast(settings.device.type, torch.bfloat16):
            estimates.append(bound(model, x_1, ids, len(estimates), draws).nats.mean(1))

    start_memory(settings.device)
    seconds = per_call(call, settings.device, settings.of(8, 3), warm=1)
    spread = torch.stack(estimates).var(0).mean().sqrt() / size.length
    return {
        "size": vars(size),
        "draws": draws,
        "seconds": seconds,
        "tokens_per_second": draws * size.tokens / seconds,
        "nats_per_token": float(torch.stack(estimates).mean()) / size.length,
        "spread_of_a_sequence": float(spread),
        "peak_mib": memory_mib(settings.device),
    }


def bound(settings: Settings) -> Iterator[Row]:
    """The likelihood bound by count and by time."""
    for name, batch in (("char-85m", 64), ("gpt2-small", 8)):
        size = settings.size(name, batch)
        for kind in (Count, Time):
            call = partial(bounding, settings, size, kind, settings.of(8, 2))
            yield Row(f"{kind.__name__}, {name}, 8 draws", call)


def peer_training(settings: Settings, size: Size, peer: str, options: dict) -> dict:
    """Tokens/s and memory of a peer's step, eager as it ships."""
    start_memory(settings.device)
    kind = peers.trainer(peer)
    trainer = kind(size, settings.checkouts[peer], device=str(settings.device), **options)
    x_1 = tokens(size, settings.device)
    step = partial(trainer.advance, x_1)
    seconds = per_call(step, settings.device, settings.of(10), settings.of(4, 1))
    return {
        "size": vars(size),
        "commit": measure.commit(settings.checkouts[peer]),
        "parameters": trainer.parameters,
        "ms": 1000 * seconds,
        "tokens_per_second": size.tokens / seconds,
        "peak_mib": memory_mib(settings.device),
    }


def peer_sampling(settings: Settings, size: Size, steps: int) -> dict:
    """Seconds of MDLM's cached sampler."""
    trainer = peers.trainer("mdlm")(
        size, settings.checkouts["mdlm"], bf16=True, device=str(settings.device)
    )
    seconds = per_call(lambda: trainer.sample(steps), settings.device, 1, warm=1)
    return {"size": vars(size), "steps": steps, "seconds": seconds}


def against(settings: Settings) -> Iterator[Row]:
    """Peers with a checkout, under bf16 autocast."""
    for name, batch in (("gpt2-small", 32), ("char-85m", 256)):
        size = settings.size(name, batch)
        for peer in settings.checkouts:
            call = partial(peer_training, settings, size, peer, {"bf16": True})
            yield Row(f"{peer}, {name}, batch {batch}", call)
    if "mdlm" in settings.checkouts:
        for name, batch in (("char-85m", 64), ("gpt2-small", 8)):
            size, steps = settings.size(name, batch), settings.of(64, 4)
            call = partial(peer_sampling, settings, size, steps)
            yield Row(f"mdlm sampler, {name}, batch {batch}, 64 steps", call)
