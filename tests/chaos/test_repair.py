"""An altered file is named by the stage that reads it; without it the same command mends all."""

from pathlib import Path

import pytest

from tests.chaos.house import Pipeline, long_form

pytestmark = long_form
RUN, DRAWN = "results/tiny/tiny/second/seed-0", "results/tiny/tiny/drawn/seed-0"
PAGE = "reports/tiny/index.html"


def alter(file: Path) -> None:
    """Another number, where there are digits in words; another bit, where there are none."""
    content = file.read_bytes()
    if file.suffix in (".json", ".jsonl"):
        at = content.index(b": 0.") + 4
        digit = b"1" if content[at : at + 1] != b"1" else b"2"
        file.write_bytes(content[:at] + digit + content[at + 1 :])
    else:
        file.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])


@pytest.mark.parametrize(
    ("name", "missing", "deleted"),
    [
        ("results/data/tiny/valid.tok", f"{RUN}/evaluate.json", None),
        (f"{RUN}/weights.safetensors", f"{RUN}/evaluate.json", None),
        (f"{DRAWN}/sequences.tok", f"{RUN}/train.json", None),
        (f"{DRAWN}/rewards.safetensors", f"{RUN}/train.json", None),
        (f"{RUN}/evaluate.json", PAGE, None),
        (f"{RUN}/metrics.jsonl", PAGE, f"{RUN}/train.json"),
    ],
)
def test_an_altered_file(
    pipeline: Pipeline, undisturbed: Pipeline, name: str, missing: str, deleted: str | None
) -> None:
    """`missing` is what is to be made from the altered file, `deleted` what the message names."""
    alter(pipeline.folder / name)
    (pipeline.folder / missing).unlink()
    done = pipeline.run()
    output = done.stdout + done.stderr
    assert done.returncode != 0
    assert f"tcsm: error: {name}" in output
    assert deleted is None or f"delete {deleted} and run the same command again" in output
    (pipeline.folder / (deleted or name)).unlink()
    pipeline.good()
    assert pipeline.outcome() == undisturbed.outcome()
    assert (pipeline.folder / PAGE).exists()
    assert pipeline.temporary() == []
