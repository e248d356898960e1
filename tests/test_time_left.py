"""What Snakemake's line of finished jobs says."""

import logging

import pytest

from tcsm.time_left import progress, show_time_left

snakemake_logging = pytest.importorskip("snakemake.logging")


@pytest.mark.parametrize(
    ("done", "total", "seconds", "left"),
    [
        (1, 4, 600.0, "about 30 min"),
        (12, 48, 240.0, "about 12 min"),
        (9, 10, 90.0, "less than a minute"),
        (1, 100, 600.0, "about 16.5 h"),
    ],
)
def test_the_time_left_is_that_of_the_rate_until_now(done, total, seconds, left):
    assert progress(done, total, seconds) == f"{done} of {total} jobs done, {left} left"


def test_nothing_is_promised_before_the_first_job_and_after_the_last():
    assert "left" not in progress(0, 3, 60.0)
    assert progress(3, 3, 600.0) == "3 of 3 jobs done in about 10 min"


def test_the_line_replaces_that_of_snakemake_and_a_plugin_keeps_its_own(monkeypatch):
    own, other = logging.StreamHandler(), logging.StreamHandler()
    own.setFormatter(snakemake_logging.DefaultFormatter())
    other.setFormatter(logging.Formatter())
    monkeypatch.setattr(snakemake_logging.logger, "handlers", [own, other])
    show_time_left()
    record = logging.makeLogRecord({"event": "progress", "done": 1, "total": 2})
    assert own.format(record).startswith("1 of 2 jobs done, ")
    assert type(other.formatter) is logging.Formatter
