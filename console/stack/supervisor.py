"""The supervisor: programs enter in the order in which they need each other; running processes leave, and their end.

A dead child is started again after a back-off that grows while it keeps dying. Every child leads a process group of
its own, so that Ctrl-C reaches the supervisor alone and the stack is stopped in order; every child ends when the
supervisor dies without a goodbye, and what survives even that is found by its mark at the next start.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from console.stack.accounts import Account
from console.stack.folder import StackError, read_json, write_json
from console.stack.output import BoundedLog, Pump
from console.stack.processes import ProcessMark, is_alive, mark_of, start_line, stop_process
from kaimen.logs import get_logger

BACKOFF_FIRST_S = 0.5
BACKOFF_MAX_S = 30.0
STABLE_S = 30.0
#: After an upgrade ingest compiles before it serves: a quarter of a minute on free cores, minutes on small or busy ones.
READY_WITHIN_S = 240.0
STOP_WITHIN_S = 15.0
STARTS_BEFORE_GIVING_UP = 5
TURN_S = 0.2
#: So often a program that can say so is asked whether it has to be started anew.
LOOK_EVERY_S = 5.0
#: A second Ctrl-C that comes later than this is impatience: what still runs is killed.
HASTE_AFTER_S = 1.0
_READY_POLL_S = 0.05

log = get_logger()


class StopAskedError(Exception):
    """Somebody asked to stop while something was being started."""


def always_ready() -> bool:
    return True


def nothing_to_do() -> None:
    return None


def no_reason() -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Program:
    """One process of the stack and what the supervisor has to know of it.

    ``why_start_anew`` is asked now and then of what runs and is ready; it answers soon, and with nothing if all is well.
    """

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    is_ready: Callable[[], bool] = always_ready
    before_start: Callable[[], None] = nothing_to_do
    why_start_anew: Callable[[], str] = no_reason
    account: Account | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_within_s: float = STOP_WITHIN_S
    working_folder: Path = Path("/")


class Child:
    """One program while it is supervised."""

    def __init__(self, program: Program, mark_path: Path, log_file: BoundedLog) -> None:
        self.program = program
        self.mark_path = mark_path
        self.log_file = log_file
        self.process: subprocess.Popen[bytes] | None = None
        self.pump: Pump | None = None
        self.starts = 0
        self.failures = 0
        self.started_at = 0.0
        self.start_again_at: float | None = None

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.returncode is None

    def last_words(self) -> str:
        if self.pump is None:
            return ""
        self.pump.join(0.5)
        return "\n".join(self.pump.last_lines)


class Supervisor:
    """All processes of one stack; everything but ``ask_to_stop`` belongs to the main thread."""

    def __init__(self, run_folder: Path, log_folder: Path, *, quiet: bool = False) -> None:
        self._run_folder = run_folder
        self._log_folder = log_folder
        self._quiet = quiet
        self._children: list[Child] = []
        self._wake = threading.Event()
        self._stopping = False
        self._hasty = False
        self._asked_at = 0.0
        self._retry_now = False
        self._looked_at = 0.0

    # -- signals ------------------------------------------------------------------------------------------------

    def listen_to_signals(self) -> None:
        """Stop on SIGINT, SIGTERM and SIGHUP; wake on a child's end; SIGUSR1 ends all back-offs."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_stop)
        signal.signal(signal.SIGCHLD, self._on_child)
        signal.signal(signal.SIGUSR1, self._on_retry)

    def _on_stop(self, _number: int, _frame: FrameType | None) -> None:
        # Some callers signal the process and its group: two signals at once are one wish.
        now = time.monotonic()
        if self._stopping and now - self._asked_at > HASTE_AFTER_S:
            self._hasty = True
        if not self._stopping:
            self._asked_at = now
        self._stopping = True
        self._wake.set()

    def _on_child(self, _number: int, _frame: FrameType | None) -> None:
        self._wake.set()

    def _on_retry(self, _number: int, _frame: FrameType | None) -> None:
        self._retry_now = True
        self._wake.set()

    def ask_to_stop(self) -> None:
        """Let ``watch`` return."""
        self._stopping = True
        self._wake.set()

    def _pause(self, seconds: float) -> None:
        self._wake.wait(seconds)
        self._wake.clear()

    # -- what an earlier supervisor left --------------------------------------------------------------------------

    def stop_leftovers(self) -> int:
        """End the processes that a killed supervisor of this directory left behind; return how many there were."""
        count = 0
        for path in sorted(self._run_folder.glob("*.json")):
            found = read_json(path)
            mark = _parse_mark(found)
            if found is not None and mark is not None and is_alive(mark):
                log.warning(
                    "a process of an earlier start is still here: it is stopped",
                    process=path.stem,
                    pid=mark.pid,
                )
                asked = signal.Signals(found.get("stop_signal", signal.SIGTERM))
                stop_process(mark.pid, ask=asked, within_s=STOP_WITHIN_S, group=True)
                count += 1
            path.unlink(missing_ok=True)
        return count

    # -- starting -----------------------------------------------------------------------------------------------

    def start(self, *programs: Program) -> None:
        """Start programs side by side and wait until all are ready; the ones started before stay supervised.

        Raises
        ------
        StackError
            If one does not become ready; its last words are in the text.
        StopAskedError
            If a stop was asked for meanwhile.
        """
        fresh = [self._adopt(program) for program in programs]
        for child in fresh:
            self._spawn(child)
        deadline = time.monotonic() + READY_WITHIN_S
        waiting = list(fresh)
        while waiting:
            if self._stopping:
                raise StopAskedError
            self._bury()
            for child in fresh:
                if child.starts >= STARTS_BEFORE_GIVING_UP and not child.is_running:
                    raise StackError(f"{child.program.name} does not start; it said:\n{child.last_words()}")
            self._start_what_is_due()
            waiting = [child for child in waiting if not (child.is_running and child.program.is_ready())]
            if waiting and time.monotonic() > deadline:
                words = "\n".join(f"{child.program.name} said:\n{child.last_words()}" for child in waiting)
                raise StackError(f"not ready within {READY_WITHIN_S:g} s: {words}")
            if waiting:
                self._pause(_READY_POLL_S)
        for child in fresh:
            log.info(
                "ready", process=child.program.name, pid=child.process.pid if child.process else None,
                duration_ms=int((time.monotonic() - child.started_at) * 1000),
            )  # fmt: skip

    def _adopt(self, program: Program) -> Child:
        assert all(child.program.name != program.name for child in self._children), program.name
        child = Child(
            program,
            self._run_folder / f"{program.name}.json",
            BoundedLog(self._log_folder / f"{program.name}.log"),
        )
        self._children.append(child)
        return child

    def _spawn(self, child: Child) -> None:
        program = child.program
        child.starts += 1
        child.start_again_at = None
        child.started_at = time.monotonic()
        program.before_start()
        process = subprocess.Popen(
            start_line(program.arguments, account=program.account, death_signal=program.stop_signal),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=_environment(program),
            cwd=program.working_folder,
            process_group=0,
        )
        assert process.stdout is not None
        child.process = process
        child.pump = Pump(program.name, process.stdout, child.log_file, echo=self._echoes)
        self._mark(child, process.pid)

    def _mark(self, child: Child, pid: int) -> None:
        """Note which process it is, for the next start; where the disk is full it runs without."""
        mark = mark_of(pid)
        if mark is None:
            return
        try:
            write_json(
                child.mark_path,
                {
                    "pid": mark.pid, "started": mark.started, "boot": mark.boot, "starts": child.starts,
                    "stop_signal": int(child.program.stop_signal),
                },
            )  # fmt: skip
        except OSError as error:
            log.error("a process runs without its mark", process=child.program.name, reason=str(error))

    def restart(self, program: Program) -> None:
        """Let a program take the place of the one of its name, itself or with another start line, which is asked to stop first."""
        child = next(child for child in self._children if child.program.name == program.name)
        if child.is_running:
            assert child.process is not None
            _end(child.process, child.program.stop_signal, child.program.stop_within_s, lambda: self._hasty)
        child.program = program
        child.process = None
        child.failures = 0
        # The next turn starts it, as one that died by itself.
        child.start_again_at = time.monotonic()

    def _echoes(self, grave: bool) -> bool:
        return (grave and not self._stopping) or not self._quiet

    # -- watching -----------------------------------------------------------------------------------------------

    def watch(self, on_turn: Callable[[], None] = nothing_to_do) -> None:
        """Restart what dies or must be until a stop is asked for; ``on_turn`` is called a few times a second."""
        while not self._stopping:
            self._bury()
            self._end_what_must_start_anew()
            self._start_what_is_due()
            on_turn()
            if not self._stopping:
                self._pause(TURN_S)

    def _bury(self) -> None:
        for child in self._children:
            process = child.process
            if process is None or process.returncode is not None or process.poll() is None:
                continue
            lived_s = time.monotonic() - child.started_at
            child.failures = 0 if lived_s >= STABLE_S else child.failures
            delay_s = min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2**child.failures)
            child.failures += 1
            child.start_again_at = time.monotonic() + delay_s
            log.warning(
                "a process ended and is started again", process=child.program.name, exit_code=process.returncode,
                delay_s=delay_s, attempt=child.starts,
            )  # fmt: skip

    def _end_what_must_start_anew(self) -> None:
        """End what says that it needs a new start; one that was started a moment ago gets its time first."""
        now = time.monotonic()
        if now - self._looked_at < LOOK_EVERY_S:
            return
        self._looked_at = now
        for child in self._children:
            if not child.is_running or now - child.started_at < STABLE_S:
                continue
            if reason := child.program.why_start_anew():
                log.warning("a process has to be started anew", process=child.program.name, reason=reason)
                self.restart(child.program)

    def _start_what_is_due(self) -> None:
        retry_now, self._retry_now = self._retry_now, False
        for child in self._children:
            due = child.start_again_at
            if due is not None and (retry_now or time.monotonic() >= due):
                try:
                    self._spawn(child)
                except (OSError, StackError) as error:
                    self._note_failed_start(child, error)

    def _note_failed_start(self, child: Child, error: Exception) -> None:
        delay_s = min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2**child.failures)
        child.failures += 1
        child.start_again_at = time.monotonic() + delay_s
        log.error(
            "a process could not be started",
            process=child.program.name,
            reason=str(error)[:300],
            delay_s=delay_s,
        )

    # -- work that ends -----------------------------------------------------------------------------------------

    def run_to_end(self, program: Program, *, own_output: bool = False) -> None:
        """Run a program that ends by itself; with ``own_output`` it speaks to our terminal.

        Raises
        ------
        StackError
            If it fails, with its last words.
        StopAskedError
            If a stop was asked for; the program is stopped too.
        """
        process = subprocess.Popen(
            start_line(program.arguments, account=program.account, death_signal=program.stop_signal),
            stdin=subprocess.DEVNULL,
            stdout=None if own_output else subprocess.PIPE,
            stderr=None if own_output else subprocess.STDOUT,
            env=_environment(program),
            cwd=program.working_folder,
            process_group=0,
        )
        log_file = BoundedLog(self._log_folder / f"{program.name}.log")
        pump = (
            None
            if process.stdout is None
            else Pump(program.name, process.stdout, log_file, echo=self._echoes)
        )
        mark_path = self._run_folder / f"{program.name}.json"
        mark = mark_of(process.pid)
        if mark is not None:
            write_json(mark_path, {"pid": mark.pid, "started": mark.started, "boot": mark.boot})
        try:
            while process.poll() is None:
                if self._stopping:
                    raise StopAskedError
                self._bury()
                self._start_what_is_due()
                self._pause(TURN_S)
        finally:
            if process.poll() is None:
                _end(process, program.stop_signal, 5.0)
            if pump is not None:
                pump.join(2.0)
            log_file.close()
            mark_path.unlink(missing_ok=True)
        if process.returncode != 0:
            words = "\n".join(pump.last_lines) if pump is not None else "see above"
            raise StackError(f"{program.name} failed (exit code {process.returncode}): {words}")

    # -- stopping -----------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Stop all in the reverse of the order in which they were started; a second Ctrl-C kills."""
        self._stopping = True
        for child in reversed(self._children):
            if child.is_running:
                assert child.process is not None
                _end(
                    child.process, child.program.stop_signal, child.program.stop_within_s, lambda: self._hasty
                )
                log.info("stopped", process=child.program.name, exit_code=child.process.returncode)
            if child.pump is not None:
                child.pump.join(2.0)
            child.log_file.close()
            child.mark_path.unlink(missing_ok=True)
        self._children.clear()


def _environment(program: Program) -> dict[str, str]:
    # The caller says what of KAIMEN_* reaches a child; PG* would reach into every connection unseen.
    own = {name: value for name, value in os.environ.items() if not name.startswith(("KAIMEN_", "PG"))}
    return {**own, "PYTHONUNBUFFERED": "1", **program.environment}


def _end(
    process: subprocess.Popen[bytes],
    ask: signal.Signals,
    within_s: float,
    hasty: Callable[[], bool] = lambda: False,
) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(ask)
    deadline = time.monotonic() + within_s
    while process.poll() is None and time.monotonic() < deadline and not hasty():
        time.sleep(0.02)
    # What the leader left in its group goes with it.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _parse_mark(found: Any) -> ProcessMark | None:
    try:
        return ProcessMark(int(found["pid"]), int(found["started"]), str(found["boot"]))
    except (KeyError, TypeError, ValueError):
        return None


def python_module(module: str) -> list[str]:
    """Return the arguments that run a module of ours with this Python, whatever lies in the working folder."""
    return [sys.executable, "-P", "-m", module]
