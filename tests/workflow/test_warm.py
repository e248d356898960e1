"""Warm starts: what a rule's shell, a user and a signal notice of them, which is nothing."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from workflow.warm import ADDRESS, THREADS

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="elsewhere starts are cold"),
    pytest.mark.slow,
]

SNAKEMAKE = """
import os
from workflow.warm import ADDRESS, serve
serve(["waits"])
print(os.environ[ADDRESS], flush=True)
input()
"""
STAGES = """
import os, signal, sys, time
from pathlib import Path

def save(number, frame):
    print("saved", flush=True)
    sys.exit(75)

def run(arguments):
    print(Path("/proc/self/comm").read_text().strip(), os.environ["WORD"], sys.stdin.read())
    print(os.getpid(), flush=True)
    if arguments[0] == "waits":
        signal.signal(signal.SIGTERM, save)
        print("ready", flush=True)
        while True:
            time.sleep(0.1)
    if arguments[0] == "fails":
        raise ValueError("no number")
    return len(arguments)

if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
"""
TIMEOUT = 120
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts Python in a folder that has stages of our own; ends what is left."""
    stages = tmp_path / "tcsm/stages"
    stages.mkdir(parents=True)
    (tmp_path / ".snakemake").mkdir()
    (tmp_path / "tcsm/__init__.py").touch()
    (tmp_path / "tcsm/__main__.py").write_text(STAGES)
    for name in ("__init__", "waits"):
        (stages / f"{name}.py").touch()
    begun = []

    def python(*words: str, **environment: str) -> subprocess.Popen[str]:
        path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])
        begun.append(
            subprocess.Popen(
                [sys.executable, *words],
                cwd=tmp_path,
                env={**os.environ, "PYTHONPATH": path, THREADS: "1", "WORD": "a b", **environment},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
        return begun[-1]

    yield python
    for process in begun:
        process.kill()
        process.wait()
        for stream in filter(None, (process.stdin, process.stdout)):
            stream.close()


@dataclass(frozen=True)
class Snakemake:
    """A process that has a server, and starts jobs."""

    process: subprocess.Popen[str]
    start: Start
    address: str

    def job(self, *words: str, **environment: str) -> subprocess.Popen[str]:
        """What a rule's shell starts, with all of its configuration given."""
        job = self.start("-m", "workflow.warm", *words, **{ADDRESS: self.address}, **environment)
        job.stdin.write("seed: 1")
        job.stdin.close()
        job.stdin = None
        return job

    def waiting(self) -> tuple[subprocess.Popen[str], int]:
        """A client and its job, which is ready for a signal."""
        client = self.job("waits")
        assert client.stdout.readline() == "tcsm waits a b seed: 1\n"
        job = int(client.stdout.readline())
        assert client.stdout.readline() == "ready\n"
        assert job != client.pid
        return client, job


@pytest.fixture
def snakemake(start: Start) -> Snakemake:
    process = start("-c", SNAKEMAKE)
    return Snakemake(process, start, process.stdout.readline().strip())


def test_a_job_has_the_streams_the_environment_and_the_code_of_its_client(
    snakemake: Snakemake,
) -> None:
    job = snakemake.job("counts", "x", "y", WORD="ü;$(x)")
    said, _ = job.communicate()
    assert said.startswith("tcsm counts ü;$(x) seed: 1\n")
    assert job.returncode == 3


def test_an_error_is_told_in_full(snakemake: Snakemake) -> None:
    job = snakemake.job("fails")
    said, _ = job.communicate()
    assert said.startswith("tcsm fails")
    assert said.endswith("ValueError: no number\n")
    assert job.returncode == 1


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGINT])
def test_a_client_dies_as_its_job(snakemake: Snakemake, number: signal.Signals) -> None:
    client, job = snakemake.waiting()
    os.kill(job, number)
    said, _ = client.communicate()
    died = (client.returncode, "KeyboardInterrupt" in said)
    assert died == ((1, True) if number == signal.SIGINT else (-number, False))


def test_a_job_that_saves_is_waited_for(snakemake: Snakemake) -> None:
    """A scheduler's SIGTERM reaches all processes."""
    client, job = snakemake.waiting()
    client.terminate()
    os.kill(job, signal.SIGTERM)
    assert client.communicate()[0] == "saved\n"
    assert client.returncode == 75


def test_a_job_whose_client_is_gone_is_told_to_end(snakemake: Snakemake) -> None:
    client, _ = snakemake.waiting()
    client.kill()
    assert client.communicate()[0] == "saved\n"


def test_jobs_go_on_without_snakemake(snakemake: Snakemake) -> None:
    """The server ends, and the next client is a stage by itself."""
    client, job = snakemake.waiting()
    (server,) = psutil.Process(snakemake.process.pid).children()
    snakemake.process.kill()
    server.wait(TIMEOUT)
    cold = snakemake.job("counts")
    assert cold.communicate()[0].splitlines()[1] == str(cold.pid)
    os.kill(job, signal.SIGTERM)
    assert client.communicate()[0] == "saved\n"


def test_a_server_that_is_an_orphan_before_it_has_begun_ends(snakemake: Snakemake) -> None:
    (server,) = psutil.Process(snakemake.process.pid).children()
    snakemake.process.kill()
    server.wait(TIMEOUT)


@pytest.mark.parametrize("threads", ["2", ""])
def test_other_threads_want_a_torch_of_their_own(snakemake: Snakemake, threads: str) -> None:
    job = snakemake.job("counts", **{THREADS: threads})
    assert job.communicate()[0].splitlines()[1] == str(job.pid)
    assert job.returncode == 1


def test_a_server_that_cannot_import_harms_nobody(start: Start, tmp_path: Path) -> None:
    (tmp_path / "tcsm/stages/waits.py").write_text("import nothing_of_this_name")
    process = start("-c", SNAKEMAKE)
    snakemake = Snakemake(process, start, process.stdout.readline().strip())
    job = snakemake.job("counts")
    assert job.communicate()[0].splitlines()[1] == str(job.pid)


def test_a_kernel_that_lacks_something_starts_cold(start: Start) -> None:
    without = "import os; os.pidfd_open = lambda number: os.stat('nothing')"
    process = start("-c", f"{without}\n{SNAKEMAKE}")
    snakemake = Snakemake(process, start, process.stdout.readline().strip())
    job = snakemake.job("counts")
    assert job.communicate()[0].splitlines()[1] == str(job.pid)
    assert psutil.Process(process.pid).children() == []


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
def test_nobody_else_may_ask(snakemake: Snakemake) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
        os.seteuid(65534)
        try:
            client.connect("\0" + snakemake.address)
        finally:
            os.seteuid(0)
        client.settimeout(60)
        assert client.recv(16) == b""


JOB = """
import os, sys
from workflow import warm
read, write = os.pipe()
for number in (1, 2):
    os.dup2(write, number)
warm._open_again()
for stream in (sys.stdout, sys.stderr):
    stream.reconfigure(errors="backslashreplace")
    print("said", file=stream, flush=True)
assert os.read(read, 10) == b"said\\nsaid\\n"
"""


def test_a_job_prints_to_a_pipe_though_snakemakes_words_go_to_a_file(start, tmp_path):
    with (tmp_path / "log").open("w") as log:
        done = subprocess.run(
            [sys.executable, "-c", JOB],
            cwd=Path(__file__).parents[2],
            stdout=log,
            stderr=log,
            check=False,
        )
    assert (done.returncode, (tmp_path / "log").read_text()) == (0, "")
