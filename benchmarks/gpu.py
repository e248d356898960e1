"""One session on a GPU: agreement with the CPU, speed of training, sampling and the bound.

    python -m benchmarks.gpu [--minutes 9] [--only char gpt2] [--mdlm PATH] [--flow-matching PATH]
        [--dllm PATH] [--out benchmarks/results] [--commit HASH] [--tiny]

Each part has a file, ``gpu-PART.json``, written anew after each row: a session that ends early
is continued by the same command, which makes what is missing. A row that fails says why. With
``--tiny`` all of it runs in seconds, also on a CPU.
"""

import argparse
import gc
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks import measure
from benchmarks.gpu_parts import Row, Settings, agreement, char, gpt2, machine
from benchmarks.gpu_uses import against, bound, sampling
from benchmarks.peers import PEERS

PARTS: dict[str, Callable[[Settings], Iterator[Row]]] = {
    "machine": machine,
    "agreement": agreement,
    "gpt2": gpt2,
    "char": char,
    "sampling": sampling,
    "bound": bound,
    "peers": against,
}
LEAST = 20.0  # seconds left with which a row is begun


@dataclass
class Session:
    """Rows are made as long as there is time.

    Attributes:
        settings: sizes, device, checkouts of peers.
        out: folder of the results.
        commit: the code's commit.
        end: when no row is begun any more, on the clock of `time.monotonic`.
    """

    settings: Settings
    out: Path
    commit: str
    end: float

    def part(self, name: str, rows: Iterator[Row]) -> int:
        """Make the rows that are missing; return how many failed."""
        path = self.out / f"gpu-{name}.json"
        result = {
            "benchmark": f"gpu/{name}",
            "commit": self.commit,
            **measure.machine(self.settings.device),
            "tiny": self.settings.tiny,
        }
        done = [row for row in _made(path, result) if "error" not in row]
        known, failed = {row["name"] for row in done}, 0
        for row in rows:
            if row.name in known:
                continue
            if time.monotonic() > self.end - LEAST:
                print(f"{name}: no time left for {row.name}", flush=True)
                continue
            done.append(made := self._make(row))
            failed += "error" in made
            print(f"{name}: {json.dumps(made, ensure_ascii=False)[:400]}", flush=True)
            measure.save(path, {**result, "rows": done})
        return failed

    def _make(self, row: Row) -> dict:
        """The numbers of a row, or why there are none."""
        start = time.monotonic()
        try:
            result = row.run()
        except Exception as error:  # one row's failure must not cost the others
            result = {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"}
        if self.settings.device.type == "cuda":
            gc.collect()
            torch.cuda.empty_cache()
        return {"name": row.name, **result, "wall_seconds": time.monotonic() - start}


def _made(path: Path, result: dict) -> list[dict]:
    """The rows of an earlier session with the same code on the same machine."""
    if not path.exists():
        return []
    known = json.loads(path.read_text())
    return known["rows"] if all(known.get(key) == result[key] for key in result) else []


def main(arguments: list[str] | None = None) -> int:
    """Run the parts in the order of their value; return how many rows failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=9.0)
    parser.add_argument("--only", nargs="*", choices=PARTS, default=list(PARTS))
    parser.add_argument("--out", type=Path, default=measure.RESULTS)
    parser.add_argument("--commit", default="", help="where the checkout has no .git")
    parser.add_argument("--tiny", action="store_true", help="all parts in seconds, also on a CPU")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    for peer in PEERS:
        parser.add_argument(f"--{peer}", type=Path, help="a checkout; without it, left out")
    options = parser.parse_args(arguments)
    device = torch.device(options.device)
    if device.type == "cpu" and not options.tiny:
        parser.error("there is no GPU; --tiny runs all parts on a CPU")
    checkouts = {peer: getattr(options, peer.replace("-", "_")) for peer in PEERS}
    settings = Settings(device, options.tiny, {p: c for p, c in checkouts.items() if c})
    end = time.monotonic() + 60 * options.minutes
    commit = options.commit or measure.commit(Path())
    session = Session(settings, options.out, commit, end)
    return sum(session.part(name, PARTS[name](settings)) for name in options.only)


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
