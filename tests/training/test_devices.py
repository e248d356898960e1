import pytest
import torch
from torch import nn
from torch.distributed import TCPStore

from tcsm.errors import InputError
from tcsm.training.devices import Devices, require_compiler
from tcsm.training.launch import require_loopback, start
from tests.held import PATIENCE
from tests.training.toy import make_net, make_optim, run_rank, train


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"choice": "tpu"}, "devices.choice must be one of auto, cpu, cuda, found 'tpu'"),
        (
            {"precision": "fp8"},
            "devices.precision must be one of auto, bf16, fp32, medium, found 'fp8'",
        ),
        ({"threads": 0}, "threads must .*found 0"),
    ],
)
def test_impossible_values_are_refused(values, message):
    with pytest.raises(InputError, match=message):
        Devices(**values)


def test_a_missing_gpu_is_said(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="torch finds no CUDA device"):
        Devices("cuda")
    assert Devices().device == torch.device("cpu")


@pytest.mark.parametrize(
    ("device", "variable", "value", "named"),
    [
        ("cpu", "CXX", None, ("g++",)),
        ("cpu", "CXX", "no-such-c++", ("no-such-c++", "CXX")),
        ("cuda", "CC", None, ("gcc", "clang", "CC")),
    ],
)
def test_a_missing_compiler_is_said_before_anything_is_computed(
    device, variable, value, named, monkeypatch, tmp_path
):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv(variable, raising=False)
    if value:
        monkeypatch.setenv(variable, value)
    with pytest.raises(InputError, match=r"^devices\.compiled: ") as error:
        require_compiler(torch.device(device))
    assert all(name in str(error.value) for name in named)


def test_so_it_is_when_a_run_gets_ready(monkeypatch, tmp_path):
    monkeypatch.setenv("CXX", "no-such-c++")
    with (
        pytest.raises(InputError, match=r"^devices\.compiled: "),
        Devices("cpu", compiled=True).ready(),
    ):
        pass
    monkeypatch.setenv("CXX", "true")  # any program that is there
    require_compiler(torch.device("cpu"))


def test_a_machine_without_loopback_starts_no_processes(monkeypatch, tmp_path):
    require_loopback(2)

    def unreachable(*_, **__):
        raise OSError(99, "Cannot assign requested address")

    monkeypatch.setattr("socket.create_server", unreachable)
    with pytest.raises(InputError, match=r"^devices\.processes: found 2, .*loopback"):
        start("train", "seed: 0\n", tmp_path, Devices("cpu", processes=2))


@pytest.mark.parametrize("able", [True, False])
def test_auto_precision_follows_the_hardware(monkeypatch, able):
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: able)
    assert Devices("cpu").bf16 is able
    assert Devices("cpu", precision="bf16").bf16
    assert not Devices("cpu", precision="fp32").bf16
    assert not Devices("cpu", precision="medium").bf16


def test_autocast_computes_in_the_chosen_precision():
    net, row = nn.Linear(4, 4), torch.ones(1, 4)
    for precision, dtype in (("bf16", torch.bfloat16), ("fp32", torch.float32)):
        with Devices("cpu", precision=precision).autocast():
            assert net(row).dtype == dtype


def test_threads_and_matmul_precision_are_set():
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    try:
        with Devices("cpu", threads=2, precision="medium").ready():
            assert torch.get_num_threads() == 2
            assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_num_threads(threads)
        torch.set_float32_matmul_precision(precision)


def test_one_process_wraps_nothing():
    net, devices = make_net(), Devices("cpu")
    assert devices.wrap(net) is net
    assert (devices.rank, devices.world, devices.main) == (0, 1, True)
    assert devices.mean({"loss": torch.tensor(2.0)}) == {"loss": torch.tensor(2.0)}
    assert devices.any(True)
    assert not devices.any(False)


def meeting():
    """Where ranks meet: its port is found and held at once."""
    return TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)


@pytest.mark.slow
@pytest.mark.parametrize("accumulate", [1, 2])
def test_two_processes_are_one(processes, tmp_path, accumulate):
    store, outs = meeting(), [tmp_path / f"{rank}.pt" for rank in (0, 1)]
    children = [
        processes.Process(target=run_rank, args=(rank, 2, store.port, outs[rank], accumulate))
        for rank in (0, 1)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join(PATIENCE)
    assert [child.exitcode for child in children] == [0, 0]
    single, rows = train(make_optim(steps=12), dtype=torch.float64)
    (first, first_rows), (second, second_rows) = (torch.load(out) for out in outs)
    for name, expected in single.tensors().items():
        if name != "elapsed":
            torch.testing.assert_close(first[name], expected, rtol=0, atol=1e-12)
            assert torch.equal(first[name], second[name])
    assert [row["tokens"] for row in first_rows] == [row["tokens"] for row in rows]
    losses = [[row["loss"] for row in some] for some in (first_rows, rows)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-12)
    assert [row["loss"] for row in second_rows] == losses[0]
