"""The supervisor with real children: they crash, hang and outlive it, and are restarted, stopped and found again."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from console.stack import supervisor as supervising
from console.stack.folder import StackError, read_json
from console.stack.processes import ProcessMark, is_alive, mark_of, start_line, stop_process
from console.stack.supervisor import Program, StopAskedError, Supervisor

REPOSITORY = Path(__file__).parents[3]
SLEEPER = "import time; print('awake', flush=True); time.sleep(600)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"


def eventually(is_so: Callable[[], bool], within_s: float = 20.0) -> None:
    deadline = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < deadline, "not within the time"
        time.sleep(0.02)


def python(code: str) -> list[str]:
    return [sys.executable, "-I", "-c", code]


def is_gone(pid: int) -> bool:
    mark = mark_of(pid)
    return mark is None or not is_alive(mark)


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    for name in ("run", "log"):
        (tmp_path / name).mkdir()
    made = Supervisor(tmp_path / "run", tmp_path / "log", quiet=True)
    yield made
    made.stop()


def pid_of(tmp_path: Path, name: str) -> int:
    found = read_json(tmp_path / "run" / f"{name}.json")
    return 0 if found is None else int(found["pid"])


def watch_until(supervisor: Supervisor, is_so: Callable[[], bool], within_s: float = 20.0) -> None:
    """Let the supervisor watch until something is so."""
    deadline = time.monotonic() + within_s
    reached = False

    def look() -> None:
        nonlocal reached
        reached = is_so()
        if reached or time.monotonic() > deadline:
            supervisor.ask_to_stop()

    supervisor.watch(look)
    supervisor._stopping = False
    assert reached, "not within the time"


def test_a_started_program_runs_in_a_group_of_its_own_and_leaves_its_mark(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    supervisor.start(Program("one", python(SLEEPER)))
    pid = pid_of(tmp_path, "one")
    assert os.getpgid(pid) == pid
    assert not is_gone(pid)


def test_a_killed_program_is_started_again(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.start(Program("one", python(SLEEPER)))
    first = pid_of(tmp_path, "one")
    os.kill(first, signal.SIGKILL)
    watch_until(supervisor, lambda: pid_of(tmp_path, "one") not in (0, first))
    assert is_gone(first)


def test_a_program_with_another_start_line_takes_the_place_of_the_one_that_runs(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    supervisor.start(Program("one", python(STUBBORN), stop_within_s=0.1))
    first = pid_of(tmp_path, "one")
    supervisor.restart(Program("one", python(SLEEPER)))
    assert is_gone(first)
    watch_until(supervisor, lambda: pid_of(tmp_path, "one") != first)
    assert b"awake" in Path(f"/proc/{pid_of(tmp_path, 'one')}/cmdline").read_bytes()


def test_a_program_that_says_it_has_to_start_anew_is_ended_and_started_and_a_young_one_is_left_alone(
    supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervising, "LOOK_EVERY_S", 0.0)
    asked: list[int] = []

    def why() -> str:
        asked.append(pid_of(tmp_path, "one"))
        return "its store refuses" if len(set(asked)) == 1 else ""

    supervisor.start(Program("one", python(SLEEPER), why_start_anew=why))
    first = pid_of(tmp_path, "one")
    turns = iter(range(3))
    watch_until(supervisor, lambda: next(turns, None) is None)
    assert not asked  # it is not as old as STABLE_S
    monkeypatch.setattr(supervising, "STABLE_S", 0.0)
    watch_until(supervisor, lambda: len(set(asked)) == 2)
    assert is_gone(first) and pid_of(tmp_path, "one") == asked[-1] != first


def test_a_program_whose_mark_cannot_be_written_is_not_started_twice(
    supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervising, "STABLE_S", 0.0)
    monkeypatch.setattr(supervising, "BACKOFF_FIRST_S", 0.01)
    starts = tmp_path / "starts"
    supervisor.start(Program("one", python(f"open({str(starts)!r}, 'a').write('x'); {SLEEPER}")))
    eventually(lambda: starts.exists() and starts.read_text() == "x")

    def full(*_args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(supervising, "write_json", full)
    os.kill(pid_of(tmp_path, "one"), signal.SIGKILL)
    watch_until(supervisor, lambda: starts.read_text() == "xx")
    turns = iter(range(5))
    watch_until(supervisor, lambda: next(turns, None) is None)
    assert starts.read_text() == "xx"


def test_the_back_off_grows_while_a_program_keeps_dying(
    supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervising, "BACKOFF_FIRST_S", 0.2)
    marks = tmp_path / "starts"
    code = f"import time; open({str(marks)!r}, 'a').write(f'{{time.monotonic()}}\\n')"
    supervisor.start(Program("one", python(code)))
    watch_until(supervisor, lambda: marks.exists() and len(marks.read_text().split()) >= 4)
    at = [float(line) for line in marks.read_text().split()]
    pauses = [later - earlier for earlier, later in pairwise(at)]
    assert pauses[0] >= 0.2
    assert pauses[1] >= 0.4
    assert pauses[2] >= 0.8


def test_a_program_that_lived_long_enough_starts_again_at_once(
    supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervising, "STABLE_S", 0.0)
    supervisor.start(Program("one", python(SLEEPER)))
    for _ in range(3):
        before, killed_at = pid_of(tmp_path, "one"), time.monotonic()
        os.kill(before, signal.SIGKILL)
        watch_until(supervisor, lambda before=before: pid_of(tmp_path, "one") != before)
        assert time.monotonic() - killed_at < 5


def test_a_program_that_never_starts_is_an_error_with_its_last_words(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervising, "BACKOFF_FIRST_S", 0.02)
    broken = Program("broken", python("raise SystemExit('the flux is missing')"), is_ready=lambda: False)
    with pytest.raises(StackError, match="the flux is missing"):
        supervisor.start(broken)


def test_programs_are_stopped_in_the_reverse_order(supervisor: Supervisor, tmp_path: Path) -> None:
    ends = tmp_path / "ends"
    code = (
        "import signal, sys, time\n"
        "def end(*_):\n"
        f"    open({str(ends)!r}, 'a').write(sys.argv[1] + ' ')\n"
        "    sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        f"open({str(tmp_path)!r} + '/up-' + sys.argv[1], 'w').close()\n"
        "time.sleep(600)"
    )
    for name in ("first", "second", "third"):
        ready = (tmp_path / f"up-{name}").exists
        supervisor.start(Program(name, [*python(code), name], is_ready=ready))
    supervisor.stop()
    assert ends.read_text().split() == ["third", "second", "first"]


def test_a_deaf_program_is_killed_with_everything_in_its_group(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    child = tmp_path / "child"
    code = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "found = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(child)!r}, 'w').write(str(found.pid))\n"
        "time.sleep(600)"
    )
    supervisor.start(
        Program(
            "deaf",
            python(code),
            is_ready=lambda: child.exists() and child.read_text() != "",
            stop_within_s=0.3,
        )
    )
    leader, grandchild = pid_of(tmp_path, "deaf"), int(child.read_text())
    supervisor.stop()
    assert is_gone(leader)
    eventually(lambda: is_gone(grandchild))


def test_what_a_program_says_is_kept_as_structured_lines(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.start(Program("one", python(SLEEPER)))
    log = tmp_path / "log" / "one.log"
    eventually(lambda: log.exists() and "awake" in log.read_text())
    line = json.loads(log.read_text().splitlines()[0])
    assert (line["event"], line["service"], line["level"]) == ("awake", "one", "info")


def test_work_that_fails_is_an_error_and_work_that_succeeds_is_not(supervisor: Supervisor) -> None:
    supervisor.run_to_end(Program("work", python("print('done')")))
    with pytest.raises(StackError, match="no luck"):
        supervisor.run_to_end(Program("work", python("raise SystemExit('no luck')")))


def test_a_wish_to_stop_ends_work_under_way(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.ask_to_stop()
    with pytest.raises(StopAskedError):
        supervisor.run_to_end(Program("work", python(SLEEPER)))
    assert not (tmp_path / "run" / "work.json").exists()


_SUPERVISING = """
import sys, time
from pathlib import Path
from console.stack.supervisor import Program, Supervisor
root = Path(sys.argv[1])
made = Supervisor(root / "run", root / "log", quiet=True)
made.listen_to_signals()
made.start(
    Program("tame", [sys.executable, "-I", "-c", sys.argv[2]]),
    Program("deaf", [sys.executable, "-I", "-c", sys.argv[3]], stop_within_s=0.5),
)
(root / "up").touch()
made.watch()
made.stop()
"""


@pytest.fixture
def started(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A supervisor in a process of its own, with a child that obeys and one that does not."""
    for name in ("run", "log"):
        (tmp_path / name).mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", _SUPERVISING, str(tmp_path), SLEEPER, STUBBORN], cwd=REPOSITORY
    ) as process:
        eventually(lambda: (tmp_path / "up").exists() and "deaf" in _said(tmp_path, "deaf"))
        yield process
        if process.poll() is None:
            process.kill()


def _said(tmp_path: Path, name: str) -> str:
    log = tmp_path / "log" / f"{name}.log"
    return log.read_text() if log.exists() else ""


def test_a_killed_supervisor_leaves_nothing_after_the_next_start(
    started: subprocess.Popen[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervising, "STOP_WITHIN_S", 0.5)
    tame, deaf = pid_of(tmp_path, "tame"), pid_of(tmp_path, "deaf")
    started.kill()
    started.wait()
    # The kernel tells the children; the one that does not listen is found by its mark.
    eventually(lambda: is_gone(tame))
    assert not is_gone(deaf)
    assert Supervisor(tmp_path / "run", tmp_path / "log").stop_leftovers() >= 1
    assert is_gone(deaf)
    assert list((tmp_path / "run").iterdir()) == []


def test_one_ctrl_c_stops_everything(started: subprocess.Popen[bytes], tmp_path: Path) -> None:
    tame, deaf = pid_of(tmp_path, "tame"), pid_of(tmp_path, "deaf")
    os.kill(deaf, signal.SIGKILL)
    started.send_signal(signal.SIGINT)
    assert started.wait(40) == 0
    assert is_gone(tame)
    assert is_gone(deaf)


def test_a_mark_whose_number_was_given_to_somebody_else_signals_nobody(tmp_path: Path) -> None:
    own = mark_of(os.getpid())
    assert own is not None
    stranger = {"pid": own.pid, "started": own.started - 5, "boot": own.boot}
    (tmp_path / "one.json").write_text(json.dumps(stranger))
    assert Supervisor(tmp_path, tmp_path).stop_leftovers() == 0  # and we are still here
    assert not is_alive(ProcessMark(own.pid, own.started, "another-boot"))


def test_a_process_that_is_not_our_child_is_asked_and_then_killed() -> None:
    with subprocess.Popen(python(STUBBORN), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        stop_process(process.pid, within_s=0.2)
        assert process.wait(5) == -signal.SIGKILL


def test_a_program_started_by_the_start_line_dies_with_its_parent() -> None:
    code = (
        "import subprocess, sys, time\n"
        "from console.stack.processes import start_line\n"
        f"found = subprocess.Popen(start_line([sys.executable, '-I', '-c', {SLEEPER!r}]))\n"
        "print(found.pid, flush=True)\n"
        "time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=REPOSITORY, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.stdout.readline()  # the child is awake: it has become the program
        assert not is_gone(child)
        parent.kill()
        eventually(lambda: is_gone(child))


def test_the_start_line_names_no_account_for_an_ordinary_start() -> None:
    line = json.loads(start_line(["/bin/true"])[4])
    assert line["uid"] is None
    assert line["death_signal"] == signal.SIGTERM
