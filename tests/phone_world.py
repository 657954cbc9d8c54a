"""Telephones for tests: a free port enters; a gateway, people with telephones and a switchboard that refuses leave.

Everything is real: the gateway is baresip, so is every callee, and what refuses calls is sipp; they speak SIP and RTP
with telephone events on loopback.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import threading
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from alerts.voice import audio
from alerts.voice.sidecar import Sidecar
from alerts.voice.sip import SipCall, SipGateway
from tests.fix_servers import Program, accepts, free_port, temporary_folder, wait_until

PROGRAMS = ("baresip", "sipp", "espeak-ng")
EXTENSIONS = tuple(str(number) for number in range(201, 227))

_REFUSALS = {
    "486": "Busy Here",
    "480": "Temporarily Unavailable",
    "404": "Not Found",
    "503": "Service Unavailable",
}
_ANSWER = """<label id="{status}"/><send next="9"><![CDATA[

SIP/2.0 {status} {words}
[last_Via:]
[last_From:]
[last_To:];tag=[pid]refused[call_number]
[last_Call-ID:]
[last_CSeq:]
Content-Length: 0

]]></send>
"""


def _refusing_scenario() -> str:
    """Answer every call with the status its number begins with."""
    found = "".join(
        f'<ereg regexp="sip:{status}" search_in="hdr" header="To:" assign_to="is{status}"/>'
        for status in _REFUSALS
    )
    chosen = "".join(f'<nop next="{status}" test="is{status}"/>' for status in _REFUSALS)
    answers = "".join(_ANSWER.format(status=status, words=words) for status, words in _REFUSALS.items())
    return (
        '<?xml version="1.0" encoding="UTF-8"?><scenario name="refuses">'
        f'<recv request="INVITE"><action>{found}</action></recv>{chosen}{answers}'
        '<label id="9"/><recv request="ACK"/></scenario>'
    )


def require_programs() -> None:
    """Skip where a program is missing; on the machine that judges changes it must be there."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if not missing:
        return
    words = f"not installed: {', '.join(missing)} (Debian: baresip-core sip-tester espeak-ng)"
    if os.environ.get("CI") == "true":
        pytest.fail(words)
    pytest.skip(words)


def free_udp_port() -> int:
    """Return a loopback port free for SIP: over UDP, over TCP, and the next one for TLS."""
    for _ in range(100):
        with contextlib.ExitStack() as stack:
            probe = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
            try:
                for further in (port, port + 1):
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", further))
            except (OSError, OverflowError):
                continue
            return port
    raise AssertionError("no port is free")


@dataclass
class Phone:
    """One person's telephone; ``behave`` is what the person does when it rings, on a thread of his own."""

    gateway: SipGateway
    line: str
    behave: Callable[[Phone, SipCall], None] = lambda _phone, _call: None
    faults: list[BaseException] = field(default_factory=list)

    @property
    def number(self) -> str:
        return self.line.partition(":")[2].partition("@")[0]

    def ring(self, call: SipCall) -> None:
        def run() -> None:
            try:
                self.behave(self, call)
            except BaseException as fault:
                self.faults.append(fault)

        threading.Thread(target=run, name=f"phone {self.number}", daemon=True).start()

    def press(self, digit: str) -> None:
        self.gateway.command(self.line, ("sndcode", digit))

    def answer(self, call: SipCall) -> None:
        self.gateway.command(self.line, ("accept", ""))
        call.was_answered = True

    def status(self) -> str:
        """What the telephone says of its calls."""
        return "\n".join(self.gateway.ask(self.line, ("listcalls", "")))

    def hang_up(self) -> None:
        with contextlib.suppress(Exception):
            self.gateway.command(self.line, ("hangup", ""))


@dataclass
class PhoneWorld:
    """A gateway of ours with twenty lines, twenty people with telephones, and numbers that are refused."""

    folder: Path
    sidecar: Sidecar
    program: Program
    phones: dict[str, Phone]
    recordings: Path
    refusing: Sidecar
    refusing_program: Program

    def gateway(self) -> SipGateway:
        return SipGateway(self.sidecar)

    def start_again(self) -> None:
        """After ``program.kill()``: the same lines; whoever hung on one puts the receiver down."""
        for phone in self.phones.values():
            phone.hang_up()
        self.program.start()
        port = self.sidecar.control[1]
        wait_until(lambda: accepts(port), "the gateway is back", within_s=10)

    def recorded(self) -> list[Path]:
        """What the telephones have heard, one file for each call."""
        return sorted(self.recordings.glob("*-dec.wav"))


def _run(sidecar: Sidecar, folder: Path) -> Program:
    sidecar.write()
    sidecar.write_silence()
    program = Program(
        f"baresip {sidecar.folder.name}", ["baresip", "-4", "-f", str(sidecar.folder)],
        folder / f"{sidecar.folder.name}.log", working_folder=folder, stop_signal=signal.SIGTERM,
    )  # fmt: skip
    program.start()
    port = sidecar.control[1]
    wait_until(lambda: program.is_alive() and accepts(port), f"{program.name} is ready", within_s=10)
    return program


def _sidecar(folder: Path, lines: tuple[str, ...], port: int, dialled_port: int) -> Sidecar:
    return Sidecar(
        folder, lines, f"sip:{{number}}@127.0.0.1:{dialled_port}", ("127.0.0.1", free_port()), f"127.0.0.1:{port}"
    )  # fmt: skip


@contextlib.contextmanager
def phone_world() -> Iterator[PhoneWorld]:
    """Start everything; stop what was started."""
    require_programs()
    ours, theirs, refused, second = (free_udp_port() for _ in range(4))
    with temporary_folder("phone") as folder, contextlib.ExitStack() as stack:
        recordings = folder / "heard"
        recordings.mkdir()
        lines = tuple(f"sip:kaimen{number}@127.0.0.1:{ours}" for number in range(1, 21))
        gateway = _sidecar(folder / "ours", lines, ours, theirs)
        callees = Sidecar(
            folder / "theirs", tuple(f"sip:{number}@127.0.0.1:{theirs}" for number in EXTENSIONS),
            f"sip:{{number}}@127.0.0.1:{ours}", ("127.0.0.1", free_port()), f"127.0.0.1:{theirs}",
            further=f"module sndfile.so\nsnd_path {recordings}\n",
        )  # fmt: skip
        refusing = _sidecar(
            folder / "second",
            tuple(f"sip:kaimen{n}@127.0.0.1:{second}" for n in range(1, 21)),
            second,
            refused,
        )
        programs = [_run(one, folder) for one in (gateway, callees, refusing)]
        for program in programs:
            stack.callback(program.stop, within_s=1.0)
        stack.callback(_run_refusing(folder, refused).stop, within_s=1.0)
        phones: dict[str, Phone] = {}
        handset = SipGateway(callees, on_incoming=lambda call: phones[_number(call.line)].ring(call))
        handset.check()
        stack.callback(handset.close)
        for line in callees.lines:
            phones[_number(line)] = Phone(handset, line)
        yield PhoneWorld(folder, gateway, programs[0], phones, recordings, refusing, programs[2])


def _number(line: str) -> str:
    return line.partition(":")[2].partition("@")[0]


def _run_refusing(folder: Path, port: int) -> Program:
    scenario = folder / "refusing.xml"
    scenario.write_text(_refusing_scenario())
    program = Program(
        "sipp", ["sipp", "-sf", str(scenario), "-i", "127.0.0.1", "-p", str(port), "-nostdin", "-trace_err",
                 "-mp", str(free_udp_port())],
        folder / "sipp.log", working_folder=folder, stop_signal=signal.SIGKILL,
    )  # fmt: skip
    program.start()
    return program


# --- what was heard ------------------------------------------------------------------------------------------------


def samples_of(path: Path) -> np.ndarray:
    """Return the samples of a WAV, also of one whose writer is not done with it."""
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(10_000_000), dtype="<i2").astype(float)


def found_at(heard: np.ndarray, wanted: np.ndarray) -> tuple[float, float]:
    """Return how well a sound is found in what was heard (1: exactly), and at which second."""
    if len(heard) < len(wanted):
        return 0.0, 0.0
    size = 1 << (len(heard) + len(wanted)).bit_length()
    product = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(wanted, size)), size)
    product = product[: len(heard) - len(wanted) + 1]
    energy = np.concatenate(([0.0], np.cumsum(heard**2)))
    energy = energy[len(wanted) :] - energy[: len(energy) - len(wanted)]
    scale = np.sqrt(np.maximum(energy, 1.0) * float(np.sum(wanted**2)))
    likeness = product / scale
    best = int(np.argmax(likeness))
    return float(likeness[best]), best / audio.RATE_HZ
