"""Warm starts: jobs on this machine are forked from a process that has imported torch.

Most jobs of a small scale are done in seconds, and Python's and torch's own start took two more.
Snakemake's process starts a server, `serve`; a rule's shell starts a client, ``python -m
workflow.warm STAGE --config -``, which hands its streams and environment over and waits. Where no
server answers, as on the nodes of a cluster, the client becomes the stage itself.

A job stays a process of its own: signals reach it as before, and the client ends as it did.
"""

import gc
import importlib
import io
import json
import os
import secrets
import select
import signal
import socket
import socketserver
import struct
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

ADDRESS = "TCSM_WARM"  # of the server: an abstract socket name, in the environment of every job
SERVE = "--serve"
THREADS = "OMP_NUM_THREADS"  # read while torch is imported, and never again
WORDS = 1 << 18  # more than a socket takes at once
OF_THE_GROUP = (signal.SIGINT, signal.SIGTERM)  # which a job receives itself


def serve(stages: Iterable[str]) -> None:
    """Start the server where that is possible. It ends with this process; its jobs do not.

    Args:
        stages: the modules of ``tcsm/stages`` that it imports.
    """
    if sys.platform != "linux":  # elsewhere libraries do not bear a fork
        return
    os.environ[ADDRESS] = f"tcsm-{secrets.token_hex(16)}"
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        os.close(os.pidfd_open(os.getpid()))  # kernels before 5.3 have none
        listening.bind("\0" + os.environ[ADDRESS])
        listening.listen(Server.request_queue_size)
        own = map(str, (listening.fileno(), os.getpid()))
        subprocess.Popen(
            [sys.executable, "-m", "workflow.warm", SERVE, *own, *stages],
            stdin=subprocess.DEVNULL,
            pass_fds=[listening.fileno()],
            env={**os.environ, THREADS: "1"},
        )


class Server(socketserver.ForkingMixIn, socketserver.UnixStreamServer):
    """Forks a keeper for each client."""

    socket_type = socket.SOCK_SEQPACKET
    request_queue_size = 128
    max_children = 1024
    block_on_close = False

    def __init__(self, listening: int, snakemake: int, work: Callable[[list[str]], int]) -> None:
        self.work = work
        super().__init__("", Keeper, bind_and_activate=False)
        self.socket.close()
        self.socket = socket.socket(fileno=listening)
        self._snakemake = snakemake

    def verify_request(self, request: socket.socket, client_address: object) -> bool:
        """Accept requests of the same user alone."""
        return _is_ours(request)

    def service_actions(self) -> None:
        """End when Snakemake has ended; called at each poll."""
        super().service_actions()
        if os.getppid() != self._snakemake:
            raise SystemExit


class Keeper(socketserver.BaseRequestHandler):
    """Forks the job of one client and sends its status; ends it if the client is gone."""

    server: Server

    def handle(self) -> None:
        """Run the job of one client."""
        self.server.socket.close()  # else clients would wait for a server that has ended
        words, streams, *_ = socket.recv_fds(self.request, WORDS, 3)
        self.request.send(b"taken")
        if not self.request.recv(16):  # the client has ended
            return
        job = os.fork() or _become(self.server.work, streams, **json.loads(words))
        ended = os.pidfd_open(job)
        ready, _, _ = select.select([ended, self.request], [], [])
        if ended not in ready:
            os.kill(job, signal.SIGTERM)
        _, status = os.waitpid(job, 0)
        self.request.send(str(os.waitstatus_to_exitcode(status)).encode())


def _become(
    work: Callable[[list[str]], int],
    streams: Sequence[int],
    arguments: list[str],
    environment: Mapping[str, str],
) -> NoReturn:
    """Become the job: take its streams and environment, run it, and exit as it does."""
    code: Any = 1
    try:
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        _open_again()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.environ.clear()
        os.environ.update(environment)
        Path("/proc/self/comm").write_text(f"tcsm {arguments[0]}", "utf-8")
        code = work(arguments)
    except SystemExit as error:
        code = error.code
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code or 0)


def _open_again() -> None:
    """Open Python's streams again: inherited ones still act as what they were, such as a file.

    Without a buffer: a handler of signals may print while something else is printed.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        was = getattr(sys, f"__{name}__")
        raw = io.FileIO(number, "w" if number else "r", closefd=False)
        stream: Any = raw if number else io.BufferedReader(raw)
        kind = (was.encoding, was.errors) if was else ("utf-8", "backslashreplace")
        setattr(sys, name, io.TextIOWrapper(stream, *kind, write_through=bool(number)))


def ask(arguments: Sequence[str]) -> int | None:
    """Return the exit status of a job, or minus a signal; None if there is no server."""
    if os.environ.get(THREADS) != "1" or ADDRESS not in os.environ:
        return None
    asked = {"arguments": arguments, "environment": dict(os.environ)}
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        server.connect("\0" + os.environ[ADDRESS])
        if not _is_ours(server):
            return None
        socket.send_fds(server, [json.dumps(asked).encode()], [0, 1, 2])
        if server.recv(16):
            for number in OF_THE_GROUP:
                signal.signal(number, signal.SIG_IGN)
            server.send(b"go")
            return int(server.recv(16) or -signal.SIGKILL)
    return None


def _is_ours(peer: socket.socket) -> bool:
    """Whether the process at the other end belongs to this user."""
    found = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, user, _ = struct.unpack("3i", found)
    return bool(user == os.getuid())


def _serve(listening: int, snakemake: int, stages: Iterable[str]) -> None:
    """Import the stages once, then fork jobs until Snakemake has ended."""
    for number in OF_THE_GROUP:
        signal.signal(number, signal.SIG_IGN)
    for stage in stages:
        importlib.import_module(f"tcsm.stages.{stage}")
    work = importlib.import_module("tcsm.__main__").run
    gc.freeze()  # pages that no job touches are shared by all
    Server(listening, snakemake, work).serve_forever(poll_interval=0.1)


def main(arguments: list[str]) -> NoReturn:
    """Run the server or a client."""
    if arguments[0] == SERVE:
        _serve(*map(int, arguments[1:3]), arguments[3:])
    ended = ask(arguments)
    if ended is None:
        os.execv(sys.executable, [sys.executable, "-m", "tcsm", *arguments])
    if ended < 0:
        with suppress(OSError):  # SIGKILL has no other action
            signal.signal(-ended, signal.SIG_DFL)
        os.kill(os.getpid(), -ended)
    sys.exit(ended)


if __name__ == "__main__":
    main(sys.argv[1:])
