"""Checks: what cannot be built is told, and what was found right is not asked again."""

import json
import multiprocessing
import re

import pytest

from tcsm.errors import InputError
from workflow.checks import KILLED, Checks

GOOD = {"decay": json.dumps({"_target_": "tcsm.training.optim.Linear", "floor": 0.5})}
BAD = {"decay": json.dumps({"_target_": "tcsm.training.optim.Linear", "floor": 2.0})}
UNKNOWN = {"decay": json.dumps({"_target_": "tcsm.training.optim.None"})}


def test_the_first_that_is_bad_is_told() -> None:
    checks = Checks()
    for parts in (GOOD, BAD, UNKNOWN):
        checks.add(parts)
    with pytest.raises(InputError, match=r"decay\.floor must lie in \[0, 1\], found 2\.0"):
        checks.finish()


def test_what_is_bad_is_told_though_its_imports_were_made_early() -> None:
    checks = Checks(early=True)
    checks.prepare(BAD)
    checks.add(GOOD)
    checks.finish()
    checks.add(BAD)
    with pytest.raises(InputError, match=r"found 2\.0"):
        checks.finish()


def test_interpolations_that_are_left_to_omegaconf_are_built_too() -> None:
    checks = Checks()
    checks.add_whole(
        {"floor": 2.0, "decay": {**json.loads(GOOD["decay"]), "floor": "${floor}"}}, ()
    )
    with pytest.raises(InputError, match=r"found 2\.0"):
        checks.finish()


def test_each_part_is_built_once_and_no_process_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = Checks()
    checks.add(GOOD)
    checks.finish()
    monkeypatch.setattr(checks, "_process", lambda: pytest.fail("built again"))
    checks.add(GOOD)
    checks.finish()


def test_a_check_that_was_killed_is_one_line() -> None:
    checks = Checks(early=True)
    checks.begin()
    (process,) = multiprocessing.active_children()
    process.kill()
    process.join()

    def ask() -> None:  # either may be the first to know
        checks.add(GOOD)
        checks.finish()

    with pytest.raises(InputError, match=re.escape(KILLED)):
        ask()
