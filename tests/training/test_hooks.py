import math

import pytest
import torch

from tcsm.errors import InputError
from tcsm.training.hooks import FiniteCheck, Hooks, MetricLogger
from tcsm.training.state import TrainState
from tests.training.toy import make_net, make_optim


def terms(loss, norm):
    return {"loss": torch.tensor(loss), "grad_norm": torch.tensor(norm)}


def test_the_guard_names_the_first_bad_step():
    finite = FiniteCheck(Hooks())
    for step, pair in enumerate([(1.0, 2.0), (1.0, math.inf), (math.nan, math.nan)], start=5):
        finite.note(step, terms(*pair))
    with pytest.raises(InputError, match=r"at step 6: loss 1\.0, gradient norm inf"):
        finite.check()


def test_the_guard_forgets_what_it_has_read():
    finite = FiniteCheck(Hooks())
    for step in range(10):
        finite.note(step, terms(1.0, 2.0))
        finite.check()
        assert finite.notes == []


def test_a_watch_measures_between_rows():
    metrics, times, shown = [], [], []
    hooks = Hooks(metrics.append, times.append, lambda *values: shown.append(values))
    state = TrainState(make_net(), make_optim(steps=10))
    logger = MetricLogger(state, hooks)
    for step in (5, 10):
        state.step, state.tokens = step, step * 100
        logger.log({**terms(3.0, 2.0), "spread": torch.tensor(0.5)})
    assert [list(row) for row in times] == [
        ["step", "seconds", "cpu_seconds", "tokens_per_second"]
    ] * 2
    passed = times[1]["seconds"] - times[0]["seconds"]
    assert times[1]["tokens_per_second"] == pytest.approx(500 / passed)
    assert metrics[1] == {
        "step": 10,
        "tokens": 1000,
        "loss": 3.0,
        "spread": 0.5,
        "lr": state.optim.rate(9),
        "grad_norm": 2.0,
    }
    assert shown[0][:3] == (5, 10, 3.0)
    assert shown[1][4] == 0
