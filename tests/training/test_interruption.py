import os
import signal
import threading

import pytest

from tcsm.training.interruption import PREEMPTED, Preempted, interruption
from tests.held import heed_signals


@pytest.fixture(autouse=True)
def foreground():
    """Signals as a terminal sends them, wherever the tests run."""
    former = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGHUP)}
    heed_signals()
    yield
    for number, handler in former.items():
        signal.signal(number, handler)


ASKING = [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT, signal.SIGHUP]


@pytest.mark.parametrize("number", ASKING)
def test_a_signal_is_noted_and_the_former_handler_returns(number):
    former = signal.getsignal(number)
    with interruption() as interrupted:
        assert not interrupted()
        os.kill(os.getpid(), number)
        assert interrupted()
    assert signal.getsignal(number) is former


def test_preemption_is_an_exit_with_75():
    with pytest.raises(SystemExit) as caught:
        raise Preempted
    assert caught.value.code == PREEMPTED == 75


def test_outside_the_main_thread_signals_are_left_alone():
    seen = []

    def watch():
        with interruption() as interrupted:
            seen.append(interrupted())

    thread = threading.Thread(target=watch)
    thread.start()
    thread.join()
    assert seen == [False]


def test_a_second_ctrl_c_ends_at_once():
    with interruption() as interrupted:
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupted()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_what_nohup_ignores_stays_ignored(number):
    former = signal.signal(number, signal.SIG_IGN)
    try:
        with interruption() as interrupted:
            os.kill(os.getpid(), number)
            assert not interrupted()
    finally:
        signal.signal(number, former)
