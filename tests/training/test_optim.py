import math
import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from tcsm.errors import InputError
from tcsm.training.optim import AdamW, Constant, Cosine, Ema, Linear, OptimConfig


def test_the_learning_rate_at_known_steps():
    optim = OptimConfig(steps=110, learning_rate=0.5, warmup=10, decay=Linear(0.2))
    assert optim.rate(0) == pytest.approx(0.05)
    assert optim.rate(9) == pytest.approx(0.5)
    assert optim.rate(10) == pytest.approx(0.5)
    assert optim.rate(60) == pytest.approx(0.5 * 0.6)
    assert optim.rate(110) == pytest.approx(0.5 * 0.2)


@pytest.mark.parametrize(
    ("decay", "start", "middle", "end"),
    [
        (Constant(), 1, 1, 1),
        (Linear(), 1, 0.5, 0),
        (Linear(0.5), 1, 0.75, 0.5),
        (Cosine(), 1, 0.5, 0),
        (Cosine(0.2), 1, 0.6, 0.2),
    ],
)
def test_decays_at_start_middle_and_end(decay, start, middle, end):
    assert [decay(p) for p in (0.0, 0.5, 1.0)] == pytest.approx([start, middle, end])


@given(st.integers(1, 200), st.data())
def test_the_learning_rate_rises_then_falls_and_stays_within_its_peak(steps, data):
    warmup = data.draw(st.integers(0, steps))
    optim = OptimConfig(steps=steps, learning_rate=0.1, warmup=warmup, decay=Cosine(0.1))
    rates = [optim.rate(step) for step in range(steps)]
    assert rates[:warmup] == sorted(rates[:warmup])
    assert rates[warmup:] == sorted(rates[warmup:], reverse=True)
    assert all(0 < rate <= 0.1 * (1 + 1e-12) for rate in rates)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("steps", -1),
        ("learning_rate", 0.0),
        ("learning_rate", math.nan),
        ("betas", (0.9, 1.0)),
        ("betas", (0.9,)),
        ("weight_decay", -0.1),
        ("warmup", 11),
        ("warmup", -1),
        ("clip", 0.0),
        ("accumulate", 0),
        ("log_every", 0),
        ("checkpoint_every", 0),
    ],
)
def test_an_impossible_value_is_refused_by_its_key(key, value):
    with pytest.raises(InputError, match=rf"^trainer\.{key} must .*found") as caught:
        OptimConfig(**{"steps": 10, key: value})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("build", [lambda: Linear(1.5), lambda: Cosine(-0.1), lambda: Ema(1.0)])
def test_impossible_floors_and_averages_are_refused(build):
    with pytest.raises(InputError, match=r"^trainer\.(decay\.floor|ema\.decay) must lie in"):
        build()


def test_only_matrices_decay_and_frozen_parameters_stay_out():
    net = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2))
    net[2].weight.requires_grad_(False)
    optimizer = OptimConfig(steps=1, weight_decay=0.3, betas=[0.8, 0.9]).optimizer(net)
    decaying, others = optimizer.param_groups
    assert [p.shape for p in decaying["params"]] == [(4, 3)]
    assert len(others["params"]) == 4
    assert (decaying["weight_decay"], others["weight_decay"]) == (0.3, 0.0)
    assert decaying["betas"] == (0.8, 0.9)
    assert decaying["fused"]


def test_the_average_warms_up_and_then_keeps_its_decay():
    ema = Ema(0.99)
    assert ema.rate(1) == pytest.approx(2 / 11)
    assert ema.rate(90) == pytest.approx(91 / 100)
    assert ema.rate(10_000) == 0.99


def test_the_average_has_its_closed_form():
    ema, steps = Ema(0.7), 30
    values = torch.randn(steps + 1, 4, dtype=torch.float64)
    average = [values[0].clone()]
    for n in range(1, steps + 1):
        ema.update(average, [values[n]], n)
    rates = [0.0] + [ema.rate(n) for n in range(1, steps + 1)]
    weights = [(1 - rates[n]) * math.prod(rates[n + 1 :]) for n in range(steps + 1)]
    assert sum(weights) == pytest.approx(1)
    expected = torch.tensor(weights, dtype=torch.float64) @ values
    torch.testing.assert_close(average[0], expected, rtol=0, atol=1e-14)


def test_adamw_is_torchs():
    nets = [nn.Linear(3, 2), nn.Linear(3, 2)]
    nets[1].load_state_dict(nets[0].state_dict())
    options = {"lr": 0.1, "betas": (0.9, 0.99), "weight_decay": 0.1, "fused": True}
    ours = AdamW(nets[0].parameters(), **options)
    peer = torch.optim.AdamW(nets[1].parameters(), **options)
    for step in range(3):
        for net, optimizer in zip(nets, (ours, peer), strict=True):
            optimizer.zero_grad()
            (net(torch.full((4, 3), step + 1.0)) ** 2).sum().backward()
            optimizer.step()
    assert all(map(torch.equal, nets[0].parameters(), nets[1].parameters()))
    peer.load_state_dict(ours.state_dict())
    assert ours.state_dict()["param_groups"] == peer.state_dict()["param_groups"]


@pytest.mark.slow
def test_neither_a_size_nor_a_step_imports_the_compiler():
    code = """if True:
        import sys, torch
        from tcsm import config
        from tcsm.config.typed import Unbuilt
        from tcsm.runs.memory import size_of
        from tcsm.training.optim import OptimConfig
        for name in ("small", "time_conditioned", "hollow"):
            size_of(Unbuilt(config.compose([f"net={name}"]).net))
        net = torch.nn.Linear(3, 2)
        optimizer = OptimConfig(steps=1, learning_rate=0.1).optimizer(net)
        net(torch.ones(1, 3)).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        optimizer.load_state_dict(optimizer.state_dict())
        print("torch._dynamo" in sys.modules)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
