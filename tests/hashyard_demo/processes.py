"""Child processes that end with their parent, whatever happens to it."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Final

STOP_TIMEOUT_S: Final = 15
_PR_SET_PDEATHSIG: Final = 1
_TAIL_CHARS: Final = 2_000


class ProcessEndedError(Exception):
    """A program of the demo ended when it should not have."""


def _end_with_parent() -> None:
    """In the child, before it becomes the program: SIGTERM when the parent dies, even by SIGKILL."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class Program:
    """One program with its log file. It runs in a session of its own, so Ctrl-C reaches the parent alone."""

    def __init__(self, name: str, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
        self.name = name
        self.command = list(command)
        self.log = log
        self.environment = dict(environment)
        self._process: subprocess.Popen[str] | None = None
        self._log_file: IO[str] | None = None

    def start(self, *, read_stdout: bool = False) -> None:
        """Start it; with `read_stdout` its standard output is for `read_line`, else it goes to the log."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._log_file = self.log.open("a", encoding="utf-8")
        self._process = subprocess.Popen(
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if read_stdout else self._log_file,
            stderr=self._log_file,
            text=True,
            env={**os.environ, **self.environment},
            start_new_session=True,
            preexec_fn=_end_with_parent,  # noqa: PLW1509 - runs one system call, no threads were started
        )

    @property
    def pid(self) -> int:
        """Its process id."""
        if self._process is None:
            raise ProcessEndedError(f"{self.name} was not started")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it runs now."""
        return self._process is not None and self._process.poll() is None

    def read_line(self) -> str:
        """The next line of its standard output; raises `ProcessEndedError` with the log's end if there is none."""
        if self._process is None or self._process.stdout is None:
            raise ProcessEndedError(f"{self.name} was not started with read_stdout")
        line = self._process.stdout.readline()
        if not line:
            self._process.wait(STOP_TIMEOUT_S)
            raise ProcessEndedError(f"{self.name} ended early:\n{self.log_tail()}")
        return line

    def check(self) -> None:
        """Raise `ProcessEndedError` with the log's end when it no longer runs."""
        if not self.running:
            raise ProcessEndedError(f"{self.name} ended:\n{self.log_tail()}")

    def log_tail(self) -> str:
        """The end of its log."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-_TAIL_CHARS:] if self.log.exists() else ""

    def kill(self) -> None:
        """SIGKILL, as a power cut would."""
        if self._process is not None and self.running:
            self._process.kill()
        self._close()

    def stop(self) -> int | None:
        """SIGTERM, then SIGKILL after `STOP_TIMEOUT_S`; returns the exit code, None if it never ran."""
        if self._process is None:
            return None
        if self.running:
            self._process.terminate()
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._close()
        return self._process.returncode

    def _close(self) -> None:
        if self._process is not None:
            self._process.wait()
            if self._process.stdout is not None:
                self._process.stdout.close()
        if self._log_file is not None:
            self._log_file.close()
            self._log_file = None


def run(command: Sequence[str], environment: Mapping[str, str], timeout_s: float = 60) -> str:
    """Run a command to its end and return its output; raises `ProcessEndedError` with its words if it fails."""
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **environment},
    )
    if done.returncode:
        raise ProcessEndedError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def wait_until(condition: object, what: str, timeout_s: float, programs: Sequence[Program] = ()) -> None:
    """Poll `condition()` until it is true; raises `TimeoutError`, or at once when a program has ended."""
    if not callable(condition):
        raise TypeError("condition must be callable")
    deadline = time.monotonic() + timeout_s
    while not condition():
        for program in programs:
            program.check()
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout_s:.0f} s")
        time.sleep(0.1)
