"""TCSM against public code and against its own dense path, on a CPU, in paired runs.

    python -m benchmarks.compare train --size gpt2 [--threads 2] [--rounds 6]
    python -m benchmarks.compare sample --size char                   fresh weights
    python -m benchmarks.compare sample --size small-128 --train 200  with the samples' quality
    python -m benchmarks.compare bound
        [--mdlm PATH] [--flow-matching PATH] [--dllm PATH] [--only NAME …] [--out FOLDER]

Train: a step = corrupt, forward, loss, backward, clip, AdamW, EMA, ``loss.item()``. Sample: a
batch; after a training, on a Markov chain, with its perplexity under the chain. Bound: a call,
after a short training; what counts are the seconds to a standard error. With one thread the
process's CPU time counts, with more the clock on the wall. A ratio is the median over rounds of
the ratio to the first row in the same round, with a bootstrap interval of 95 %. Each run writes
JSON and the same as a Markdown table.
"""

import argparse
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median

import torch

from benchmarks import measure, peers
from benchmarks.measure import PARTS, paired_ratio
from benchmarks.own import Own, has_bf16
from benchmarks.sizes import SIZES, Size
from benchmarks.uses import MdlmSampler, OwnBound, OwnSampler
from benchmarks.workers import Variant, Worker, race
from tcsm.evaluation.bound import Count, Time
from tcsm.evaluation.uniform_count import UniformControl, UniformCount
from tcsm.process.corruption import CountSampling
from tcsm.samplers.ancestral import Ancestral
from tcsm.samplers.first_hitting import FirstHitting

Checkouts = dict[str, Path]
SAMPLED = {  # size → batch, steps
    "char": (8, 32),
    "bpe-8k": (8, 16),
    "gpt2": (4, 8),
    "small-128": (32, 32),
    "tiny": (4, 4),
}
BF16 = has_bf16(torch.device("cpu"))
ERROR = 0.01  # nats a token: the standard error to which seconds are counted

ROUNDS = {"train": 6, "sample": 3, "bound": 6}

EXTRA = {
    "perplexity": "perplexity",
    "entropy": "entropy",
    "passes": f"passes to an error of {ERROR}",
    "seconds_to_error": "seconds to it",
}


def training(checkouts: Checkouts) -> list[Variant]:
    """Peers as they come and helped, our dense path, and TCSM."""
    peer_variants = []
    for peer, name in (("mdlm", "MDLM"), ("flow-matching", "flow_matching")):
        if peer in checkouts:
            make, options = peers.trainer(peer), {"checkout": checkouts[peer]}
            peer_variants.append(Variant(name, make, options))
            helped = {**options, "dropout": 0.0, "bf16": BF16}
            peer_variants.append(Variant(f"{name}, dropout 0{', bf16' * BF16}", make, helped))
    if "dllm" in checkouts:
        options = {"checkout": checkouts["dllm"], "bf16": BF16}
        peer_variants.append(Variant("dLLM's loss, our network", peers.trainer("dllm"), options))
    return [
        *peer_variants,
        Variant("TCSM, dense path", Own, {"head": "dense"}),
        Variant("TCSM", Own),
        Variant("TCSM, by count", Own, {"corruption": CountSampling}),
        *([Variant("TCSM, fp32", Own, {"precision": "fp32"})] * BF16),
        *([Variant("TCSM, fp32 by oneDNN", Own, {"precision": "medium"})] * BF16),
        Variant("TCSM, generalized KL", Own, {"objective": "generalized KL"}),
        Variant("TCSM, generalized KL, smoothed", Own, {"objective": "generalized KL, smoothed"}),
    ]


def sampling(checkouts: Checkouts, steps: int, train: int) -> list[Variant]:
    """MDLM's cached sampler, and TCSM's at as many steps."""
    variants = []
    if "mdlm" in checkouts:
        options = {"checkout": checkouts["mdlm"], "steps": steps, "train": train}
        variants.append(Variant("MDLM, cached", MdlmSampler, options))
        if BF16:
            variants.append(Variant("MDLM, cached, bf16", MdlmSampler, {**options, "bf16": True}))
    kinds = {"ancestral": Ancestral, "first-hitting": FirstHitting}
    for suffix, precision in (("", "auto"), *((", fp32", "fp32"),) * BF16):
        own = {"steps": steps, "train": train, "precision": precision}
        for name, kind in kinds.items():
            variants.append(Variant(f"TCSM, {name}{suffix}", OwnSampler, {**own, "kind": kind}))
    return variants


def bounds() -> list[Variant]:
    """The bound by times, one draw a sequence as peers have it, and by stratified counts."""
    return [
        Variant("by time, 1 draw", OwnBound, {"bound": Time, "draws": 1}),
        Variant("by time, 8 draws", OwnBound, {"bound": Time, "draws": 8}),
        Variant("by count, 1 draw", OwnBound, {"bound": Count, "draws": 1}),
        Variant("by count, 8 draws", OwnBound, {"bound": Count, "draws": 8}),
        *(
            Variant(f"uniform noise, {name}", OwnBound, {**options, "uniform": True})
            for name, options in (
                ("by time, 1 draw", {"bound": Time, "draws": 1}),
                ("by time, 8 draws", {"bound": Time, "draws": 8}),
                ("by count, 8 draws", {"bound": UniformCount, "draws": 8}),
                ("by count, controlled, 1 draw", {"bound": UniformControl, "draws": 1}),
                ("by count, controlled, 8 draws", {"bound": UniformControl, "draws": 8}),
            )
        ),
    ]


def row(worker: Worker, first: Worker) -> dict:
    """What is reported of a variant; a ratio above 1 means faster than the first."""
    ratio = paired_ratio(first.seconds, worker.seconds)
    seconds, last = median(worker.seconds), worker.last
    return {
        "name": worker.variant.name,
        "parameters": last["parameters"],
        "ms": 1000 * seconds,
        "ms_best": 1000 * min(worker.seconds),
        "tokens_per_second": worker.size.tokens / seconds,
        "ratio": ratio.value,
        "ratio_low": ratio.low,
        "ratio_high": ratio.high,
        "peak_mib": last["peak_mib"],
        "peak_ratio": last["peak_mib"] / first.last["peak_mib"],
        "parts_ms": last["parts_ms"],
        "loss": last["losses"][-1],
        **_to_error(seconds, last["more"]),
        "rounds": worker.seconds,
    }


def _to_error(seconds: float, more: dict) -> dict:
    """Seconds to a standard error, from the variance and the seconds of a call."""
    if "variance" not in more:
        return more
    calls = more["variance"] / ERROR**2
    passes = calls * more["draws"]
    return {**more, "seconds_to_error": seconds * calls, "passes": passes, "error": ERROR}


def table(rows: list[dict]) -> str:
    """The result as Markdown."""
    parts = [part for part in PARTS if any(part in row["parts_ms"] for row in rows)]
    extra = [key for key in EXTRA if any(key in row for row in rows)]
    head = ["variant", "parameters", "ms", "tokens/s", "ratio [95 %]", "peak MiB", "of the first"]
    head += [f"{part}, ms" for part in parts] + [EXTRA[key] for key in extra]
    lines = [head, ["---"] * len(head)]
    for r in rows:
        cells = [r["name"], f"{r['parameters'] / 1e6:.2f} M", f"{r['ms']:.0f}"]
        cells += [f"{r['tokens_per_second']:.0f}"]
        cells += [f"**{r['ratio']:.2f}** [{r['ratio_low']:.2f}, {r['ratio_high']:.2f}]"]
        cells += [f"{r['peak_mib']:.0f}", f"{r['peak_ratio']:.2f}"]
        cells += [f"{r['parts_ms'].get(part, float('nan')):.0f}" for part in parts]
        cells += [f"{r.get(key, float('nan')):.2f}" for key in extra]
        lines.append(cells)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def chosen(kind: str, size: Size, checkouts: Checkouts, train: int) -> tuple[list[Variant], Size]:
    """The variants of a comparison, and its size."""
    if kind == "sample":
        batch, steps = SAMPLED[size.name]
        return sampling(checkouts, steps, train), replace(size, batch=batch)
    if kind == "bound":
        return bounds(), size
    return training(checkouts), size


def main(arguments: list[str] | None = None) -> None:
    """Race the variants, print a table, keep the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=("train", "sample", "bound"))
    parser.add_argument("--size", choices=SIZES, help="char; for the bound small-128")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, help="6; of samples 3")
    parser.add_argument("--turn", type=float, default=1.0, help="seconds of a turn")
    parser.add_argument("--train", type=int, default=0, help="steps before samples are drawn")
    parser.add_argument("--only", nargs="*", help="names of variants to run besides the first")
    parser.add_argument("--out", type=Path, default=measure.RESULTS)
    for peer in peers.PEERS:
        parser.add_argument(f"--{peer}", type=Path, help="a checkout; without it, left out")
    options = parser.parse_args(arguments)
    given = {peer: getattr(options, peer.replace("-", "_")) for peer in peers.PEERS}
    checkouts = {peer: path.resolve() for peer, path in given.items() if path}
    skipped = [] if options.kind == "bound" else peers.absent(checkouts)
    print("\n".join(skipped))
    size = SIZES[options.size or {"bound": "small-128"}.get(options.kind, "char")]
    (first, *others), size = chosen(options.kind, size, checkouts, options.train)
    kept = [v for v in others if options.only is None or v.name in options.only]
    rounds = options.rounds or ROUNDS[options.kind]
    workers = race([first, *kept], size, options.threads, rounds, options.turn)
    rows = [row(worker, workers[0]) for worker in workers]
    print(table(rows))
    commits = {"tcsm": measure.commit(Path())}
    result = {
        "benchmark": options.kind,
        "size": asdict(size),
        "threads": options.threads,
        "bf16": BF16,
        "clock": "process CPU time" if options.threads == 1 else "wall clock",
        **measure.machine(),
        "commits": commits | {peer: measure.commit(path) for peer, path in checkouts.items()},
        "skipped": skipped,
        "rows": rows,
    }
    out = options.out / f"{options.kind}-{size.name}-threads{options.threads}.json"
    measure.save(out, result)
    out.with_suffix(".md").write_text(table(rows))


if __name__ == "__main__":
    main()
