"""Loggers, with modules in the place of the packages, which need not be installed."""

import sys
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest

from tcsm.errors import InputError
from tcsm.training.loggers.base import opened
from tcsm.training.loggers.mlflow import MLflow
from tcsm.training.loggers.tensorboard import TensorBoard
from tcsm.training.loggers.wandb import WeightsAndBiases

KINDS = [TensorBoard, WeightsAndBiases, MLflow]
ROW = {"step": 4, "loss": 2.5, "lr": 0.1}


@pytest.fixture
def modules(monkeypatch):
    """The modules of the packages, by the names that loggers import."""
    made = {kind.needs[0]: MagicMock() for kind in KINDS}
    for name, module in made.items():
        monkeypatch.setitem(sys.modules, name, module)
    return SimpleNamespace(**{name.rpartition(".")[2]: module for name, module in made.items()})


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_package_is_named_with_what_to_type(kind, monkeypatch):
    monkeypatch.setitem(sys.modules, kind.needs[0], None)
    with pytest.raises(InputError, match=f"logger=.*pip install {kind.needs[1]}"):
        kind("any")


def log(logger, step=0):
    with opened(logger, Path("results/kjv/score/seed-0"), step) as write:
        write(ROW)


def test_tensorboard_gets_a_scalar_for_each_number(modules):
    log(TensorBoard("events"), step=2)
    writer = modules.tensorboard.SummaryWriter
    writer.assert_called_once_with("events/kjv/score/seed-0", purge_step=3)
    assert [call.args for call in writer().add_scalar.mock_calls] == [
        ("loss", 2.5, 4),
        ("lr", 0.1, 4),
    ]
    writer().close.assert_called_once()


def test_a_run_of_wandb_has_the_same_id_when_it_resumes(modules):
    log(WeightsAndBiases("mine"))
    log(WeightsAndBiases("mine"), step=2)
    first, second = (call.kwargs for call in modules.wandb.init.call_args_list)
    assert first["id"] == second["id"]
    assert (first["resume"], second["resume"]) == (None, "allow")
    modules.wandb.init().log.assert_called_with({"loss": 2.5, "lr": 0.1}, step=4)
    assert modules.wandb.init().finish.call_count == 2


def test_a_run_of_mlflow_goes_on_when_it_resumes(modules):
    modules.mlflow.search_runs.return_value = [SimpleNamespace(info=SimpleNamespace(run_id="a"))]
    log(MLflow("mine"))
    log(MLflow("mine"), step=2)
    started = [call.kwargs["run_id"] for call in modules.mlflow.start_run.call_args_list]
    assert started == [None, "a"]
    modules.mlflow.log_metrics.assert_called_with({"loss": 2.5, "lr": 0.1}, step=4)
    assert modules.mlflow.end_run.call_count == 2


def test_a_logger_is_closed_when_a_training_fails(modules):
    with pytest.raises(KeyError), opened(MLflow("mine"), Path("run"), 0):
        raise KeyError
    modules.mlflow.end_run.assert_called_once()


def test_no_logger_logs_nothing():
    log(None)
