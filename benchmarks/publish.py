"""Put the results of the benchmarks of speed into the report.

    python -m benchmarks.publish [--results benchmarks/results]

Writes ``reports/chapters/speed_data.j2``, which the chapter ``speed.md`` reads: the report has no
other way to a file, and is made again when this one changes.
"""

import argparse
import json
from pathlib import Path

from benchmarks import measure
from benchmarks.measure import PARTS

DATA = Path("reports/chapters/speed_data.j2")
KINDS = ("train", "sample", "bound")
HEAD = "{# Results of the benchmarks of speed; `python -m benchmarks.publish` writes this file. #}"
MISSING = -1.0  # a column without a value; JSON's null is none of Jinja's words


def read(folder: Path, pattern: str) -> list[dict]:
    """The results whose file names match."""
    paths = sorted(folder.glob(pattern))
    return [{"file": path.stem, **json.loads(path.read_text())} for path in paths]


def comparison(result: dict) -> dict:
    """A comparison, its rows flat."""
    keys = ("parameters", "ms", "tokens_per_second", "ratio", "ratio_low", "ratio_high")
    keys = (*keys, "peak_mib", "peak_ratio", "seconds_to_error", "passes", "perplexity", "entropy")
    rows = []
    for row in result["rows"]:
        parts = {part.replace(" ", "_"): row["parts_ms"].get(part, MISSING) for part in PARTS}
        flat = {key: row.get(key, MISSING) for key in keys}
        rows.append({"variant": row["name"], **flat, **parts})
    kept = ("file", "size", "threads", "clock", "processor", "commits", "versions")
    first = result["rows"][0].get("rounds", [])
    paired = [
        {"variant": row["name"], "seed": number, "times": one / other}
        for row in result["rows"]
        for number, (one, other) in enumerate(zip(first, row.get("rounds", []), strict=False))
    ]
    return {**{key: result[key] for key in kept}, "rows": rows, "paired": paired}


def curve(row: dict) -> dict:
    """A curve: its sentence, and its points relative to the first one."""
    first = row["points"][0]
    title = f"{row['cost']} against {row['axis']}"
    points = [
        {"variant": title, "x": at["x"] / first["x"], "y": at["median"] / first["median"]}
        for at in row["points"]
    ]
    keys = ("name", "cost", "axis", "sentence", "exponent", "low", "high", "end")
    return {**{key: row[key] for key in keys}, "title": title, "points": points}


def on_gpu(result: dict) -> dict:
    """The rows of a part of the session on a GPU that have a speed."""
    keys = ("ms", "tokens_per_second", "mfu_executed", "mfu_dense", "peak_mib", "seconds")
    rows = [
        {"variant": row["name"], **{key: row.get(key, MISSING) for key in keys}}
        for row in result["rows"]
        if "tokens_per_second" in row
    ]
    return {key: result[key] for key in ("file", "device", "commit")} | {"rows": rows}


def data(folder: Path) -> dict:
    """What the chapter shows; lists are empty where nothing was measured."""
    shown = {kind: [comparison(r) for r in read(folder, f"{kind}-*.json")] for kind in KINDS}
    curves = read(folder, "curves.json")
    shown["curves"] = [curve(row) for result in curves for row in result["rows"]]
    parts = [on_gpu(r) for r in read(folder, "gpu-*.json") if not r["tiny"]]
    return shown | {"gpu": [part for part in parts if part["rows"]]}


def main(arguments: list[str] | None = None) -> None:
    """Write what the chapter reads."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=measure.RESULTS)
    parser.add_argument("--out", type=Path, default=DATA)
    options = parser.parse_args(arguments)
    text = json.dumps(data(options.results), indent=1, ensure_ascii=False, allow_nan=False)
    options.out.write_text(f"{HEAD}\n{{% set data = {text} %}}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
