"""Compare the results of a scale with the numbers that are kept in this folder.

    python -m tests.golden.frozen results/default            # exit status 1 if a number moved
    python -m tests.golden.frozen results/default --write    # keep these numbers from now on

Kept are a digest of every tensor and token file, and the values of every record, without what time
and machine decide (telemetry), checksums of whole files, and names of classes. A field that is new
is no difference. A list of more than eight values is kept as a digest.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safetensors import safe_open

HERE = Path(__file__).parent
LEFT_OUT = {
    *("contents", "files_sha256", "record_sha256", "weights_sha256", "sha256"),
    *("sampler", "bound"),
}
SHORT = 8


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _values(node: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every value below a JSON node with its dotted name."""
    if isinstance(node, dict):
        for key in sorted(node.keys() - LEFT_OUT):
            yield from _values(node[key], f"{name}.{key}" if name else key)
    elif isinstance(node, list) and (
        len(node) <= SHORT or any(isinstance(part, dict) for part in node)
    ):
        for index, part in enumerate(node):
            yield from _values(part, f"{name}[{index}]")
    else:
        yield name, _digest(json.dumps(node).encode()) if isinstance(node, list) else node


def _tensors(path: Path) -> Iterator[tuple[str, str]]:
    with safe_open(path, framework="np") as file:
        for name in sorted(file.keys()):
            tensor = file.get_tensor(name)
            yield name, _digest(f"{tensor.dtype} {tensor.shape}".encode() + tensor.tobytes())


def _tokens(path: Path) -> Iterator[tuple[str, str]]:
    """The ids alone: they lie behind a header of 4,096 bytes."""
    yield "ids", _digest(path.read_bytes()[4096:])


def _lines(path: Path) -> Iterator[tuple[str, Any]]:
    """The number of rows, the last row, and a digest of every column."""
    rows = [dict(_values(json.loads(line))) for line in path.read_text("utf-8").splitlines()]
    yield "rows", len(rows)
    yield from (rows[-1] if rows else {}).items()
    for name in sorted({name for row in rows for name in row}):
        yield f"{name}[:]", _digest(json.dumps([row.get(name) for row in rows]).encode())


READERS = {
    ".json": lambda path: _values(json.loads(path.read_text("utf-8"))),
    ".jsonl": _lines,
    ".safetensors": _tensors,
    ".tok": _tokens,
}


def results_of(results: Path) -> dict[str, dict[str, Any]]:
    """Return the values of every file of results, by its name below the folder."""
    return {
        str(path.relative_to(results)): dict(READERS[path.suffix](path))
        for path in sorted(results.rglob("*"))
        if path.suffix in READERS and "telemetry" not in path.name
    }


def differences(kept: dict[str, dict[str, Any]], now: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Yield a line for every kept value that is another one now, or is gone."""
    for file, values in kept.items():
        if file not in now:
            yield f"{file}: missing"
            continue
        for name, value in values.items():
            if name not in now[file]:
                yield f"{file}: {name}: was {value}, is missing"
            elif now[file][name] != value:
                yield f"{file}: {name}: was {value}, is {now[file][name]}"
    yield from (f"{file}: new" for file in now.keys() - kept.keys())


def main(arguments: list[str]) -> int:
    """Compare or keep; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("results", type=Path, help="folder of a scale, such as results/default")
    parser.add_argument("--write", action="store_true", help="keep these numbers from now on")
    options = parser.parse_args(arguments)
    path, now = HERE / "frozen" / f"{options.results.name}.json", results_of(options.results)
    if options.write:
        path.parent.mkdir(exist_ok=True)
        lines = (f"{json.dumps(file)}: {json.dumps(now[file])}" for file in now)
        path.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")
        return 0
    kept = json.loads(path.read_text("utf-8"))
    actual = sorted(differences(kept, now))
    print("\n".join(actual), end="\n" if actual else "")
    total = sum(map(len, kept.values()))
    print(f"{len(kept)} files, {total} values kept in {path.name}; {len(actual)} differences")
    return int(bool(actual))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
