"""How the dbt process ends by itself; in processes of their own, because signals are theirs."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

CODE = """
    import os, signal, sys, threading, time
    from dagster_transform.dbt.child.termination import Termination

    said = []
    def say(what, found=None):
        os.write(1, f"{what}\\n".encode())
        return found

    termination = Termination(
        float(sys.argv[1]), lambda: say("abandon"),
        lambda: said.append(1) or len(said) < 3, lambda: say("end backends"),
    )
    termination.hear_signals()
    def work():
        if sys.argv[3]:
            os.kill(os.getpid(), getattr(signal, sys.argv[3]))
        if sys.argv[2] == "stuck":
            while True:
                try:
                    time.sleep(60)
                except KeyboardInterrupt:
                    say("interrupted")
        time.sleep(60)
    if not sys.argv[3]:
        threading.Timer(0.05, termination.begin, [sys.argv[4]]).start()
    try:
        work()
    except KeyboardInterrupt:
        time.sleep(0.3)
        say(f"{termination.interrupted} {termination.reason} {len(said)}")
"""


def ended(
    grace: float, work: str = "", signal: str = "", reason: str = ""
) -> tuple[int, list[str]]:
    """Exit status of a process that is ended, and what it has said."""
    done = subprocess.run(
        [sys.executable, "-c", dedent(CODE), str(grace), work, signal, reason],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert "Traceback" not in done.stderr.replace("KeyboardInterrupt", ""), done.stderr
    return done.returncode, done.stdout.splitlines()


def test_it_is_interrupted_and_everything_is_cancelled_until_nothing_is_there() -> None:
    assert ended(30.0, reason="the process of the run has ended") == (
        0, ["abandon", "True the process of the run has ended 3"]
    )  # fmt: skip


def test_what_the_run_has_ordered_has_no_reason() -> None:
    assert ended(30.0) == (0, ["abandon", "True  3"])


def test_a_signal_from_outside_interrupts_it_and_is_the_reason() -> None:
    assert ended(30.0, signal="SIGTERM") == (
        0, ["False dbt's process was told to end (SIGTERM) 0"]
    )  # fmt: skip


def test_what_hears_no_interrupt_ends_by_force_after_the_grace_and_its_backends_with_it() -> None:
    status, said = ended(0.3, work="stuck")
    assert status == 3
    assert said == ["abandon", "interrupted", "end backends"]
