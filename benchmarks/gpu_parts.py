"""The rows of `benchmarks.gpu`, in the order of their value."""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.measure import Laps
from benchmarks.own import OBJECTIVES, Own
from benchmarks.sizes import SIZES, Size
from benchmarks.timing import memory_mib, per_call, settle, start_memory
from tcsm.noise import Noise
from tcsm.process.corruption import CountSampling

PEAK = {  # dense bf16 TFLOP/s, from data sheets
    "H100": 989.4,
    "H200": 989.4,
    "A100": 312.0,
    "L40S": 362.0,
    "L4": 121.0,
    "4090": 165.2,
}


@dataclass(frozen=True)
class Settings:
    """What the rows depend on.

    Attributes:
        device: where they run.
        tiny: whether all sizes are tiny.
        checkouts: peer → its checkout.
        compiled: ways to compile that were tried.
    """

    device: torch.device
    tiny: bool
    checkouts: dict[str, Path] = field(default_factory=dict)
    compiled: set[str] = field(default_factory=set)

    def size(self, name: str, batch: int) -> Size:
        """A size with a batch, or the tiny one."""
        return SIZES["tiny"] if self.tiny else replace(SIZES[name], batch=batch)

    def of(self, large: int, tiny: int = 2) -> int:
        """A number of repetitions."""
        return tiny if self.tiny else large


@dataclass(frozen=True)
class Row:
    """One measurement: a name, and a function that returns its numbers."""

    name: str
    run: Callable[[], dict]


def tokens(size: Size, device: torch.device) -> Tensor:
    """A batch of uniform tokens."""
    made = torch.Generator().manual_seed(0)
    return torch.randint(size.vocabulary, (size.batch, size.length), generator=made).to(device)


def peak_flops(device: torch.device) -> float:
    """FLOP/s of bf16 by the data sheet, 0 for a device that is not listed."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    return next((1e12 * peak for key, peak in PEAK.items() if key in name), 0.0)


# ---------------------------------------------------------------------------- the machine


def product(settings: Settings) -> dict:
    """FLOP/s of a bf16 matrix product, and bytes/s of a copy."""
    side = settings.of(8192, 64)
    a, b = (torch.randn(side, side, device=settings.device).bfloat16() for _ in range(2))
    seconds = per_call(lambda: a @ b, settings.device, settings.of(20))
    source = torch.empty(settings.of(2**30, 2**10), dtype=torch.uint8, device=settings.device)
    copied = per_call(source.clone, settings.device, settings.of(20))
    return {"bf16_flops": 2 * side**3 / seconds, "copy_bytes": 2 * len(source) / copied}


def machine(settings: Settings) -> Iterator[Row]:
    """What the device can do."""
    yield Row("matrix product and copy", partial(product, settings))


# ---------------------------------------------------------------------------- agreement


def same_noise(settings: Settings) -> dict:
    """Whether the noise has the same bits on both devices."""

    def draw(device: torch.device | str) -> list[Tensor]:
        noise = Noise(3, 11, torch.arange(64, device=device), 64)
        return [noise.uniform("corrupt", 33, 2).cpu(), noise.stratified("time").cpu()]

    pairs = zip(draw("cpu"), draw(settings.device), strict=True)
    return {"equal": all(bool((a == b).all()) for a, b in pairs)}


def gradients(objective: str, head: str | int, device: torch.device, precision: str) -> dict:
    """Loss and gradients of one step of a small network with random weights everywhere."""
    size = replace(SIZES["tiny"], vocabulary=517)
    own = Own(size, objective=objective, head=head, precision=precision, device=str(device))
    made = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for value in own.model.parameters():
            drawn = torch.randn(value.shape, generator=made) * value.shape[-1] ** -0.5
            value.copy_(drawn)
    loss = own.loss(tokens(size, device))
    loss.backward()
    flat = torch.cat([p.grad.flatten().double().cpu() for p in own.model.parameters()])
    return {"loss": loss.item(), "gradient": flat}


def agreement_of(settings: Settings, objective: str, head: str | int, precision: str) -> dict:
    """Relative differences to the dense path in fp32 on the CPU."""
    base = gradients(objective, "dense", torch.device("cpu"), "fp32")
    measured = gradients(objective, head, settings.device, precision)
    distance = (measured["gradient"] - base["gradient"]).norm() / base["gradient"].norm()
    return {
        "loss": measured["loss"],
        "loss_relative": abs(measured["loss"] - base["loss"]) / abs(base["loss"]),
        "gradient_relative": float(distance),
    }


def agreement(settings: Settings) -> Iterator[Row]:
    """Noise, losses and gradients on the device against those on the CPU."""
    yield Row("noise", partial(same_noise, settings))
    for objective in OBJECTIVES:
        for head, precision in (("default", "fp32"), (16, "fp32"), ("default", "bf16")):
            name = f"{objective}, head {head}, {precision}"
            yield Row(name, partial(agreement_of, settings, objective, head, precision))


# ---------------------------------------------------------------------------- training


def graphs() -> dict:
    """Graphs that the compiler made since it was reset, and breaks between them."""
    from torch._dynamo.utils import counters

    breaks = sum(counters["graph_break"].values())
    return {"graphs": counters["stats"].get("unique_graphs", 0), "graph_breaks": breaks}


def training(settings: Settings, size: Size, **options) -> dict:
    """Tokens/s, MFU, memory and compilation of a training step."""
    device = settings.device
    compiled = options.get("compiled", "")
    if settings.tiny and compiled in settings.compiled:
        compiled = options["compiled"] = ""  # the compiler is slow: once is enough
    settings.compiled.add(compiled)
    if compiled:
        forget_graphs()
    start_memory(device)
    backend = "eager" if settings.tiny else "inductor"
    own = Own(size, device=str(device), backend=backend, **options)
    x_1 = tokens(size, device)
    first = per_call(lambda: own.advance(x_1), device, 1, warm=0)
    seconds = per_call(lambda: own.advance(x_1), device, settings.of(10), settings.of(5, 1))
    own.open_share = float(own.terms["open"])
    flops, peak = own.flops(size.length), peak_flops(device)
    rate = size.tokens / seconds
    shares = {f"mfu_{kind}": rate * of / peak for kind, of in flops.items() if peak}
    return {
        "size": vars(size),
        "options": {key: str(value) for key, value in options.items()},
        "parameters": own.parameters,
        "first_step_seconds": first,
        "ms": 1000 * seconds,
        "tokens_per_second": rate,
        "flops_per_token": flops,
        **shares,
        "peak_mib": memory_mib(device),
        "loss": float(own.loss(x_1).detach()),
        **(graphs() if compiled else {}),
    }


def forget_graphs() -> None:
    """Forget what was compiled, so that other shapes do not make this row's shapes dynamic."""
    from torch._dynamo.utils import counters

    torch.compiler.reset()
    counters.clear()


def parts(settings: Settings, size: Size) -> dict:
    """Milliseconds of the parts of an eager step, each waited for; waits of the host in a step."""
    own = Own(size, device=str(settings.device))
    own.laps = Laps(settle=partial(settle, settings.device))
    x_1 = tokens(size, settings.device)
    for _ in range(settings.of(8)):
        own.advance(x_1)
    result = {"size": vars(size), "ms": own.laps.milliseconds()}
    own.laps = Laps()
    return {**result, **waits(lambda: own.advance(x_1), settings.device)}


def waits(step: Callable[[], object], device: torch.device) -> dict:
    """How often, and where, a step makes the host wait for the GPU."""
    if device.type != "cuda":
        return {}
    torch.cuda.set_sync_debug_mode("warn")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        step()
    torch.cuda.set_sync_debug_mode("default")
    places = [f"{Path(w.filename).name}:{w.lineno}" for w in caught if "synch" in str(w.message)]
    return {"host_waits": len(places), "host_waits_at": sorted(set(places))}


def kernels(settings: Settings, size: Size, compiled: str) -> dict:
    """The operations that take most of a step's time."""
    from torch.profiler import ProfilerActivity, profile

    on_gpu = settings.device.type == "cuda"
    compiled = "" if settings.tiny else compiled
    own = Own(size, device=str(settings.device), compiled=compiled)
    x_1 = tokens(size, settings.device)
    per_call(lambda: own.advance(x_1), settings.device, 1, warm=settings.of(3, 1))
    activities = [ProfilerActivity.CUDA if on_gpu else ProfilerActivity.CPU]
    with profile(activities=activities) as recorded:
        own.advance(x_1)
        settle(settings.device)
    spent = "self_device_time_total" if on_gpu else "self_cpu_time_total"
    events = sorted(recorded.key_averages(), key=lambda e: -getattr(e, spent))
    top = [{"name": e.key[:120], "ms": getattr(e, spent) / 1e3, "calls": e.count} for e in events]
    return {"size": vars(size), "total_ms": sum(row["ms"] for row in top), "top": top[:25]}


def gpt2(settings: Settings) -> Iterator[Row]:
    """GPT-2-small: V 50,257, L 1,024, by compilation, chunk and batch."""
    base, twice = (settings.size("gpt2-small", batch) for batch in (32, 64))
    row = partial(partial, training, settings)
    yield Row("blocks compiled, batch 32", row(base, compiled="blocks"))
    yield Row("parts of an eager step, batch 32", partial(parts, settings, base))
    yield Row("kernels, blocks compiled, batch 32", partial(kernels, settings, base, "blocks"))
    yield Row("whole compiled, batch 32", row(base, compiled="whole"))
    yield Row("dense, blocks compiled, batch 32", row(base, compiled="blocks", head="dense"))
    for chunk in (8,) if settings.tiny else (1024, 4096, 16384):
        name = f"head by {chunk}, blocks compiled, batch 32"
        yield Row(name, row(base, compiled="blocks", head=chunk))
    yield Row("eager, batch 32", row(base))
    for objective in ("generalized KL, smoothed", "BCE"):
        name = f"{objective}, blocks compiled, batch 32"
        yield Row(name, row(base, compiled="blocks", objective=objective))
    yield Row("blocks compiled, batch 64", row(twice, compiled="blocks"))
    by_count = row(base, compiled="blocks", corruption=CountSampling)
    yield Row("by count, blocks compiled, batch 32", by_count)


def char(settings: Settings) -> Iterator[Row]:
    """The character model of 85 M parameters, L 256."""
    base, twice = (settings.size("char-85m", batch) for batch in (256, 512))
    row = partial(partial, training, settings)
    yield Row("blocks compiled, batch 256", row(base, compiled="blocks"))
    yield Row("whole compiled, batch 256", row(base, compiled="whole"))
    yield Row("parts of an eager step, batch 256", partial(parts, settings, base))
    yield Row("kernels, blocks compiled, batch 256", partial(kernels, settings, base, "blocks"))
    yield Row("blocks compiled, batch 512", row(twice, compiled="blocks"))
    yield Row("eager, batch 256", row(base))
    yield Row("dense, blocks compiled, batch 256", row(base, compiled="blocks", head="dense"))
