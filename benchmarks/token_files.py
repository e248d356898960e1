"""What a token file of 10 GB costs: to open, in memory, and to draw batches from anywhere in it.

usage: python -m benchmarks.token_files [--gigabytes 10] [--folder FOLDER]

The file is written piece by piece, opened as a run opens it (read once, for its checksum) in a
process of its own, and read at steps of a run and at one far behind, as after a restart.
"""

import argparse
import json
import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tcsm.data.batches import Batches
from tcsm.data.tokenfile import Piece, describe, open_tokens, write_tokens
from tcsm.data.tokenizers import Bytes

RESULT = Path(__file__).parent / "results/token_files.json"
PIECE = 2**26
STEPS, FAR = 200, 1_000_000


def pieces(size: int) -> Iterator[Piece]:
    """Bytes that compress badly and are made quickly."""
    block = np.random.default_rng(0).integers(0, 256, PIECE, dtype=np.uint8)
    for start in range(0, size, PIECE):
        part = np.roll(block, start // PIECE)[: min(PIECE, size - start)]
        yield Piece(part, part.size)


def memory() -> dict[str, float]:
    """MiB of this process: its own, and of files that it has mapped (the system's to take)."""
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    kib = {line.split(":")[0]: line.split()[1] for line in lines if line.endswith(" kB")}
    names = {"own_mib": "RssAnon", "mapped_mib": "RssFile", "peak_mib": "VmHWM"}
    return {name: round(int(kib[key]) / 1024, 1) for name, key in names.items()}


def milliseconds(batches: Batches, steps: range) -> dict[str, float]:
    """The time of a batch, over some steps."""
    found = []
    for step in steps:
        start = time.perf_counter()
        batches.at(step)
        found.append(1e3 * (time.perf_counter() - start))
    return {
        name: round(float(np.quantile(found, q)), 2) for name, q in (("p50", 0.5), ("p99", 0.99))
    }


def read(path: Path, pipe) -> None:
    """Open the file and draw batches of 64 × 1,024 tokens, in a process of its own."""
    found: dict[str, object] = {"before": memory()}
    wall, cpu = time.perf_counter(), time.process_time()
    tokens = open_tokens(path, Bytes()).tokens
    found["open_seconds"] = round(time.perf_counter() - wall, 2)
    found["open_cpu_seconds"] = round(time.process_time() - cpu, 2)
    found["opened"] = memory()
    batches = Batches(tokens, length=1024, batch=64, seed=0)
    found["windows"] = batches.windows
    found["batch_ms"] = milliseconds(batches, range(STEPS))
    found["batch_after_restart_ms"] = milliseconds(batches, range(FAR, FAR + STEPS))
    found["drawn"] = memory()
    pipe.send(found)


def main() -> None:
    """Write the file, measure, write down what was found."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--gigabytes", type=float, default=10)
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        path = Path(folder) / "large.tok"
        start = time.perf_counter()
        size = int(asked.gigabytes * 1e9)
        write_tokens(path, pieces(size), describe(Bytes(), "random", "train"))
        written = {"gigabytes": asked.gigabytes, "seconds": round(time.perf_counter() - start, 1)}
        context = multiprocessing.get_context("spawn")
        pipe, other = context.Pipe()
        process = context.Process(target=read, args=(path, other))
        process.start()
        found = {"written": written | {"peak_mib": memory()["peak_mib"]}, **pipe.recv()}
        process.join()
    RESULT.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
