"""What of a finished run's time the workflow itself took: planning, process starts, idle cores.

usage: python -m benchmarks.workflow_overhead [FOLDER] [--scale default] [--cores 2]

    overhead = 1 − (seconds inside stages) / (seconds on the wall × cores)

Read from the files that every run leaves: Snakemake's log (its name is the start, its last word
the end), a line of times for every job, and the telemetry of the stages. A stage without telemetry
(prepare, pin, report) counts as long as its job, less an average start.
"""

import argparse
import csv
import json
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

RESULT = Path(__file__).parent / "results/workflow_overhead.json"


@dataclass(frozen=True)
class Job:
    """When a job ran, in seconds since the epoch."""

    name: str
    start: float
    end: float


def jobs(folder: Path, scale: str) -> list[Job]:
    """The jobs of a scale, and those that make the token files."""
    times = folder / "results/benchmarks"
    files = [file for part in (scale, "prepare", "pin") for file in (times / part).rglob("*.tsv")]
    jobs = []
    for file in files:
        with file.open(encoding="utf-8") as text:
            seconds = float(next(csv.DictReader(text, delimiter="\t"))["s"])
        end = file.stat().st_mtime
        jobs.append(Job(file.relative_to(times).as_posix(), end - seconds, end))
    return sorted(jobs, key=lambda job: job.start)


def clock(folder: Path) -> tuple[float, float]:
    """Start and end of the last start of Snakemake that ran most jobs."""
    logs = (folder / ".snakemake/log").glob("*.log")
    log = max(logs, key=lambda file: file.read_text("utf-8").count("Finished jobid"))
    start = datetime.strptime(log.name.removesuffix(".snakemake.log"), "%Y-%m-%dT%H%M%S.%f")
    words = re.findall(r"(?m)^\[(.*)\]$", log.read_text("utf-8"))
    end = datetime.strptime(words[-1], "%a %b %d %H:%M:%S %Y")
    return start.timestamp(), end.timestamp()


def inside(folder: Path, scale: str) -> dict[str, tuple[int, float]]:
    """Stage → the number of its runs, and the seconds inside them."""
    stages: dict[str, tuple[int, float]] = {}
    for file in (folder / "results" / scale).rglob("*.telemetry.json"):
        stage = file.name.partition(".")[0]
        count, seconds = stages.get(stage, (0, 0.0))
        inner = json.loads(file.read_text("utf-8"))["seconds"]
        stages[stage] = (count + 1, seconds + inner)
    return stages


def idle(ran: list[Job], start: float, end: float, cores: int) -> float:
    """Core-seconds in which fewer jobs ran than there are cores."""
    edges = sorted([(job.start, 1) for job in ran] + [(job.end, -1) for job in ran])
    total, running, now = 0.0, 0, start
    for time, step in [*edges, (end, 0)]:
        total += max(0.0, min(time, end) - now) * max(0, cores - running)
        now, running = max(now, min(time, end)), running + step
    return total


def table(folder: Path, scale: str, cores: int) -> dict[str, float]:
    """The parts of wall × cores, in core-seconds."""
    ran = jobs(folder, scale)
    start, end = clock(folder)
    stages = inside(folder, scale)
    whole = ("prepare", "pin", f"{scale}/report")
    silent = [job for job in ran if job.name.startswith(whole)]
    in_jobs = sum(job.end - job.start for job in ran)
    in_silent = sum(job.end - job.start for job in silent)
    in_stages = sum(seconds for _, seconds in stages.values())
    each = (in_jobs - in_silent - in_stages) / (len(ran) - len(silent))
    starts = each * (len(ran) - len(silent))
    starts += sum(min(each, job.end - job.start) for job in silent)
    everything = (end - start) * cores
    return {
        "wall": end - start,
        "jobs": len(ran),
        "everything": everything,
        "planning": (ran[0].start - start) * cores,
        "starts": starts,
        "start_of_a_job": each,
        "idle": idle(ran, ran[0].start, end, cores),
        "stages": in_jobs - starts,
        "overhead": 1 - (in_jobs - starts) / everything,
    }


def provenance(folder: Path, scale: str) -> dict[str, object]:
    """On what the runs were made."""
    files = sorted((folder / "results" / scale).rglob("train.telemetry.json"))
    records = [json.loads(file.read_text("utf-8")) for file in files]
    return {
        "device": records[0]["device"],
        "versions": records[0]["versions"],
        "commits": sorted({record["commit"][:7] for record in records}),
    }


def main() -> None:
    """Print the table, and write it down."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path())
    parser.add_argument("--scale", default="default")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--result", type=Path, default=RESULT)
    options = parser.parse_args()
    shares = table(options.folder, options.scale, options.cores)
    print(f"{shares['jobs']:.0f} jobs, {shares['wall']:.0f} s on the wall, {options.cores} cores")
    for name in ("everything", "stages", "planning", "starts", "idle"):
        share = shares[name] / shares["everything"]
        print(f"{name:<12}{shares[name]:>8.0f} core-seconds {share:>7.1%}")
    print(f"a start takes {shares['start_of_a_job']:.2f} s")
    print(f"overhead    {shares['overhead']:.1%}")
    shares = {name: round(value, 4) for name, value in shares.items()}
    result = {"benchmark": "workflow_overhead", **provenance(options.folder, options.scale)}
    result |= {"scale": options.scale, "cores": options.cores, **shares}
    options.result.write_text(json.dumps(result, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
