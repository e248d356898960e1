import os
import signal
import threading

import pytest

from tcsm.training.interruption import PREEMPTED, Preempted, interruption


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
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
