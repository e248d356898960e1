"""What cannot fit in memory is refused by a bound that is never too high."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from omegaconf import DictConfig, OmegaConf

from tcsm import config
from tcsm.errors import InputError
from tcsm.runs import memory
from tcsm.runs.run import Run
from tcsm.training import memory as machine
from tests.stages.house import PARAMS, TINY, command

GIB = 2**30
EMA = "tcsm.training.optim.Ema"


@pytest.fixture(scope="module")
def default() -> DictConfig:
    cfg = config.compose(["devices.choice=cpu", "metric=[likelihood,rewards]"], PARAMS)
    keys = ("devices", "model", "trainer", "data.length", "data.batch", "evaluation", "validation")
    return config.cut(cfg, (*keys, "sampling", "metric", "collecting"))


@pytest.fixture(autouse=True)
def eight(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of 8 GiB."""
    monkeypatch.setattr(machine, "_machine", lambda: 8 * GIB)
    monkeypatch.setattr(machine, "_limits", lambda: iter([2**63]))


def changed(cfg: DictConfig, key: str, value: int) -> DictConfig:
    made = OmegaConf.create(OmegaConf.to_yaml(cfg))
    OmegaConf.update(made, key, value)
    return made


def require_memory(cfg: DictConfig) -> None:
    memory.require_memory(Run(Path(), cfg))


def test_the_default_run_fits(default: DictConfig) -> None:
    require_memory(default)


def test_every_process_has_a_sequence(default: DictConfig) -> None:
    with pytest.raises(InputError, match=r"^devices\.processes: 1000000 .*data\.batch"):
        require_memory(changed(default, "devices.processes", 10**6))


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("data.batch", 10**9, "data.batch: "),
        ("data.batch", 50_000, "data.batch: "),
        ("model.net.dim", 10**6, "net: "),
        ("model.net.depth", 10**6, "net: "),
        ("model.net.extra", 10**8, "net: "),
        ("sampling.count", 10**9, "sampling.count: "),
        ("metric.rewards.count", 10**9, "metric.rewards.count: "),
        ("collecting.count", 10**9, "collecting.count: "),
        ("metric.likelihood.draws", 10**9, "evaluation.draws: "),
        ("validation.draws", 10**9, "validation.draws: "),
    ],
)
def test_what_cannot_fit_is_refused(key: str, value: int, named: str, default: DictConfig) -> None:
    with pytest.raises(InputError, match=r"iB of memory, and cpu has 8\.0 GiB") as error:
        require_memory(changed(default, key, value))
    assert str(error.value).startswith(named)


def test_a_batch_in_parts_fits(default: DictConfig) -> None:
    many = changed(default, "data.batch", 65_536)
    with pytest.raises(InputError, match=r"^data\.batch: "):
        require_memory(many)
    require_memory(changed(many, "trainer.accumulate", 64))


@pytest.mark.parametrize("net", ["small", "hollow", "time_conditioned", "causal", "paper"])
def test_the_bound_is_none_too_high(net: str) -> None:
    """A real network has as many parameters, and keeps at least as much for its backward pass."""
    small = ["net.depth=3"] + (["net.dim=64", "net.heads=4"] if net == "paper" else [])
    node = config.compose([f"net={net}", *small], PARAMS).net
    size, made = memory.size_of(config.Unbuilt(node)), config.build(node)
    assert size.parameters == sum(p.numel() for p in made.parameters())
    own = {p.untyped_storage().data_ptr() for p in made.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    x, t = torch.zeros(2, 16, dtype=torch.long), torch.full((2,), 0.5) if made.timed else None
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        logits = made(x, t, torch.ones(2, 16, dtype=torch.bool)).float().log_softmax(-1)
    assert logits.requires_grad
    assert sum(kept.values()) >= 2 * 16 * (size.kept - memory.TOKEN)


def test_a_command_is_refused_before_it_reads_anything(tmp_path: Path) -> None:
    paths = (f"corpus.path={tmp_path}/none.txt", f"out={tmp_path}/run")
    done = command("train", *TINY, *paths, "data.batch=1000000000")
    assert done.code == 2
    assert done.err[0].startswith("tcsm: error: data.batch: ")


def test_the_least_limit_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(machine, "GROUPS", tmp_path)
    own = tmp_path / "job/step"
    own.mkdir(parents=True)
    monkeypatch.setattr(machine, "_groups", lambda: iter([own]))
    whole = machine.capacity(torch.device("cpu"))
    (own / "memory.max").write_text("max\n")
    assert machine.capacity(torch.device("cpu")) == whole
    (tmp_path / "job/memory.max").write_text("1048576\n")
    assert machine.capacity(torch.device("cpu")) == 2**20
    monkeypatch.undo()
    assert all(group.is_relative_to("/sys/fs/cgroup") for group in machine._groups())


def test_what_the_disk_cannot_hold_is_refused(
    default: DictConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two states and the weights, an average among them; what an earlier try left is reused."""
    parameters = memory.size_of(config.Unbuilt(default.model.net)).parameters
    averaged = OmegaConf.merge(default, {"trainer": {"ema": {"_target_": EMA}}})
    for cfg, each in ((default, 28), (averaged, 36)):
        run = Run(tmp_path / "new/run", cfg)
        for free in (each * parameters, each * parameters - 1):
            monkeypatch.setattr("shutil.disk_usage", lambda _, n=free: SimpleNamespace(free=n))
            if free == each * parameters:
                memory.require_memory(run)
                continue
            with pytest.raises(InputError, match=r"^out: needs .* .iB of disk.*new/run"):
                memory.require_memory(run)
    run.scratch.mkdir(parents=True)
    (run.scratch / "state.safetensors").write_bytes(b"x")
    memory.require_memory(run)
