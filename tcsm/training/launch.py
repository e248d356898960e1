"""Start several processes for one training by torchrun's agent, on this node or by srun.

One command becomes one agent per node, and each agent starts its ranks. A rank that dies ends them
all; the same command, started again, resumes from the last checkpoint.
"""

import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from tcsm.errors import InputError
from tcsm.training import distributed
from tcsm.training.devices import Devices
from tcsm.training.interruption import stop_signals

if TYPE_CHECKING:
    from torch.distributed.launcher.api import LaunchConfig

MEETING = "TCSM_MEETING"  # HOST:PORT/ID of the rendezvous of several nodes
GRACE = 120  # seconds that ranks have to save their state once a signal has come


def is_needed(devices: Devices) -> bool:
    """Return whether processes must be started: several are configured, this is none of them."""
    return "RANK" not in os.environ and devices.processes * devices.nodes > 1


def start(stage: str, text: str, folder: Path, devices: Devices) -> int:
    """Run a stage in every process; return the exit code of the training.

    Args:
        stage: Name of the stage.
        text: The configuration, written to a file since standard input cannot be shared.
        folder: Folder of that file, visible to all nodes.
        devices: Number of processes and nodes.

    Raises:
        InputError: Several nodes outside of a SLURM job, and no agents on the others.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"launch-{uuid.uuid4()}.yaml"
    path.write_text(text, "utf-8")
    command = ["-m", "tcsm", stage, "--config", str(path)]
    try:
        if devices.nodes > 1 and MEETING not in os.environ:
            return _everywhere(command, devices.nodes)
        with tempfile.TemporaryDirectory(prefix="tcsm-") as logs:
            return _here(command, devices, logs)
    finally:
        path.unlink(missing_ok=True)


def _everywhere(command: Sequence[str], nodes: int) -> int:
    """Run the same command on every node of this SLURM job; their agents meet here."""
    if "SLURM_JOB_ID" not in os.environ:
        raise InputError(
            f"devices.nodes: found {nodes} outside of a SLURM job; start the same command on "
            f"every node, with the same {MEETING}=HOST:PORT/NAME of one of them"
        )
    with socket.socket() as probe:
        probe.bind(("", 0))
        place = f"{socket.gethostname()}:{probe.getsockname()[1]}/{uuid.uuid4()}"
    tasks = [f"--nodes={nodes}", f"--ntasks={nodes}", "--ntasks-per-node=1", "--overlap"]
    srun = subprocess.Popen(
        ["srun", *tasks, "--kill-on-bad-exit=1", sys.executable, *command],
        env={**os.environ, MEETING: place},
        stdin=subprocess.DEVNULL,
        process_group=0,  # otherwise Ctrl-C in a terminal reaches srun and kills its step
    )

    def hand_on(number: int, frame: FrameType | None) -> None:
        # srun forwards SIGUSR1 to all nodes; SIGTERM would end srun and kill its step
        srun.send_signal(signal.SIGUSR1)
        if number == signal.SIGINT:  # a second Ctrl-C ends it at once
            signal.signal(number, lambda *_: srun.terminate())

    for number in stop_signals():
        signal.signal(number, hand_on)
    return srun.wait()


def require_loopback(processes: int) -> None:
    """Check that processes on this machine can reach each other.

    Raises:
        InputError: The address ``localhost`` does not work.
    """
    try:
        with (
            socket.create_server(("localhost", 0)) as server,
            socket.create_connection(server.getsockname()[:2], timeout=10),
        ):
            return
    except OSError as error:
        raise InputError(
            f"devices.processes: found {processes}, which talk over localhost, and this machine "
            f"has no loopback interface ({error.strerror or error}); start one (ip link set lo "
            "up), or set devices.processes=1"
        ) from error


def _here(command: Sequence[str], devices: Devices, logs: str) -> int:
    """Run the agent of this node and its ranks; return their exit code."""
    from torch.distributed.elastic.multiprocessing import SignalException  # noqa: PLC0415 -- slow
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError  # noqa: PLC0415
    from torch.distributed.launcher.api import elastic_launch  # noqa: PLC0415

    if devices.nodes == 1:
        require_loopback(devices.processes)
    logging.disable(logging.ERROR)  # the agent's own messages are not for users
    try:
        elastic_launch(_config(devices, logs), sys.executable)(*command)
    except SignalException as caught:
        failed = distributed.print_reports(logs)  # a rank that saved its state reports nothing
        interrupted = failed and caught.sigval == signal.SIGINT
        return distributed.INTERRUPTED if interrupted else distributed.PREEMPTED
    except ChildFailedError as error:
        codes = {rank: failure.exitcode for rank, failure in error.failures.items()}
        words = {r: str(f.error_file_data["message"]) for r, f in error.failures.items()}
        return distributed.explain_failures(codes, words)
    return 0


def _signals() -> str:
    """Return the signals that the agent passes on to its ranks, in its format."""
    return ",".join(number.name for number in (*stop_signals(), signal.SIGQUIT))


def _config(devices: Devices, logs: str) -> "LaunchConfig":
    """Return the configuration of this node's agent; only its first rank may print."""
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, Std  # noqa: PLC0415
    from torch.distributed.launcher.api import LaunchConfig  # noqa: PLC0415

    meeting = os.environ.get(MEETING) if devices.nodes > 1 else None
    place, _, name = (meeting or f"localhost:0/{uuid.uuid4()}").partition("/")
    silent = dict.fromkeys(range(1, devices.processes), Std.ALL)
    return LaunchConfig(
        min_nodes=devices.nodes,
        max_nodes=devices.nodes,
        nproc_per_node=devices.processes,
        role=distributed.ROLE,
        run_id=name,
        rdzv_backend="c10d",
        rdzv_endpoint=place,
        rdzv_configs={"join_timeout": devices.patience},
        local_addr=None if meeting else "localhost",
        max_restarts=0,
        logs_specs=DefaultLogsSpecs(log_dir=logs, redirects=silent),
        signals_to_handle=_signals(),
        shutdown_timeout=GRACE,
    )
