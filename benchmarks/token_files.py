"""What large token files cost: to read 10 GB from anywhere in it, and to prepare 1 GB in parallel.

usage: python -m benchmarks.token_files [--gigabytes 10] [--prepared 1] [--folder FOLDER]

A file of random bytes is opened as a run opens it (read once, for its checksum) in a process of
its own, and batches are drawn at the first steps of a run, in the middle of an epoch and behind
some epochs, as after a resume. Then text is tokenized by two processes, which are stopped halfway
and started again. Memory is a process's own: pages of mapped files are the system's to take.
"""

import argparse
import json
import multiprocessing
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from benchmarks.measure import commit, processor
from tcsm.data.batches import WindowBatches
from tcsm.data.header import Header, read_header
from tcsm.data.shards import CHARACTERS, Shards
from tcsm.data.tokenfile import Piece, describe, open_tokens, write_tokens
from tcsm.data.tokenizers import Bytes

RESULT = Path(__file__).parent / "results/token_files.json"
PIECE = 2**26
STEPS, EPOCHS = 200, 3
LENGTH, BATCH = 1024, 64
WORKERS = 2


def pieces(size: int) -> Iterator[Piece]:
    """Bytes that compress badly and are made quickly."""
    block = np.random.default_rng(0).integers(0, 256, PIECE, dtype=np.uint8)
    for start in range(0, size, PIECE):
        part = np.roll(block, start // PIECE)[: min(PIECE, size - start)]
        yield Piece(part, part.size)


def documents(size: int, each: int = 2**16) -> Iterator[str]:
    """Texts of letters, so many that they fill a file."""
    letters = np.random.default_rng(0).integers(97, 123, 2 * each, dtype=np.uint8)
    for start in range(0, size, each + 1):
        text = np.roll(letters, start // each)[: min(each, size - start)]
        yield f"{start:012}{text[12:].tobytes().decode()}"


def memory() -> dict[str, float]:
    """MiB of this process: its own, and of files that it has mapped (the system's to take)."""
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    kib = {line.split(":")[0]: line.split()[1] for line in lines if line.endswith(" kB")}
    names = {"own_mib": "RssAnon", "mapped_mib": "RssFile"}
    return {name: round(int(kib[key]) / 1024, 1) for name, key in names.items()}


def milliseconds(batches: WindowBatches, first: int) -> dict[str, float]:
    """The time of a batch, over some steps."""
    times = []
    for step in range(first, first + STEPS):
        start = time.perf_counter()
        batches.at(step)
        times.append(1e3 * (time.perf_counter() - start))
    middle = round(statistics.median(times), 2)
    return {"median": middle, "min": round(min(times), 2), "max": round(max(times), 2)}


def read(path: Path, pipe) -> None:
    """Open the file and draw batches from all over it, in a process of its own."""
    own = {"before": memory()}
    wall, cpu = time.perf_counter(), time.process_time()
    tokens = open_tokens(path, Bytes()).tokens
    opening = {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}
    own["opened"] = memory()
    batches = WindowBatches(tokens, LENGTH, BATCH, seed=0)
    epoch = batches.windows // BATCH
    places = {"start": 0, "middle": epoch // 2, "resumed": EPOCHS * epoch + epoch // 3}
    drawn: dict[str, object] = {}
    for name, step in places.items():
        drawn[name] = {"step": step, "ms": milliseconds(batches, step)}
        own[name] = memory()
    opened = {name: round(value, 2) for name, value in opening.items()}
    pipe.send({"windows": batches.windows, "open": opened, "batches": drawn, "memory": own})


def streamed(folder: Path, size: int) -> dict[str, object]:
    """Write a file of random bytes, and read it."""
    path = folder / "large.tok"
    start = time.perf_counter()
    write_tokens(path, pieces(size), describe(Bytes(), "random", "train"))
    seconds = time.perf_counter() - start
    context = multiprocessing.get_context("spawn")
    pipe, other = context.Pipe()
    process = context.Process(target=read, args=(path, other))
    process.start()
    result = {"gigabytes": size / 1e9, "write_seconds": round(seconds, 1), **pipe.recv()}
    process.join()
    path.unlink()
    return result


def shape(made: Iterable[Piece], path: Path, header: Header) -> dict[str, float]:
    """Seconds, CPU-seconds (of the processes too) and memory of writing some pieces."""
    wall, cpu = time.perf_counter(), sum(os.times()[:4])
    write_tokens(path, made, header)
    seconds, spent = time.perf_counter() - wall, sum(os.times()[:4]) - cpu
    return {"seconds": round(seconds, 1), "cpu_seconds": round(spent, 1), **memory()}


def written(folder: Path) -> set[tuple[str, int]]:
    """The shards of a folder, and when each was written: two may have the same moment."""
    return {(file.name, file.stat().st_mtime_ns) for file in folder.glob("*.tok")}


def prepared(folder: Path, size: int) -> dict[str, object]:
    """Tokenize text in parallel; then half of it, as a run that is stopped, and all of it."""
    header = describe(Bytes(), "letters", "train")
    whole, halves = (Shards(folder / name, Bytes(), WORKERS) for name in ("whole", "halves"))
    result: dict[str, object] = {"gigabytes": size / 1e9, "workers": WORKERS}
    result["at_once"] = shape(whole.pieces(documents(size), header), folder / "a.tok", header)
    half = islice(halves.pieces(documents(size), header), max(1, size // CHARACTERS // 2))
    result["first_half"] = shape(half, folder / "half.tok", header)
    done = written(halves.folder)
    result["resumed"] = shape(halves.pieces(documents(size), header), folder / "b.tok", header)
    after = written(halves.folder)
    result["shards"] = {"all": len(after), "kept": len(after & done)}
    first, second = (read_header(folder / name) for name in ("a.tok", "b.tok"))
    result["equal"] = first == second
    return result


def main() -> None:
    """Measure and write down what was found."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--gigabytes", type=float, default=10)
    parser.add_argument("--prepared", type=float, default=1)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--result", type=Path, default=RESULT)
    options = parser.parse_args()
    result: dict[str, object] = {"benchmark": "token_files", "processor": processor()}
    result["versions"] = {"python": platform.python_version(), "torch": torch.__version__}
    result |= {"commit": commit(Path()), "length": LENGTH, "batch": BATCH, "steps": STEPS}
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        result["streamed"] = streamed(Path(folder), int(options.gigabytes * 1e9))
        result["prepared"] = prepared(Path(folder), int(options.prepared * 1e9))
    result["load"] = round(os.getloadavg()[1], 1)  # of other work, if it is more than 2
    options.result.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
