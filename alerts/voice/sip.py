"""Real telephone calls through a baresip beside us: call orders enter, calls with their events leave.

Every line is an account of the program's own and carries one call at a time: only so can each callee hear a sound of
his own, and the sound be changed while the call runs. What the program says is believed by line and call number.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alerts.voice import audio
from alerts.voice.control import Control, ControlError
from alerts.voice.gateway import (
    Answered,
    CallOrder,
    Cause,
    Digit,
    Ended,
    Event,
    GatewayDownError,
    Ringing,
    Spoken,
)
from alerts.voice.sidecar import Sidecar
from kaimen.logs import get_logger

log = get_logger()

_KEYS_REMEMBERED_MAX = 1_000
_EVENTS_MAX = 200

#: How a refusal of the far side begins, by its SIP status.
_CAUSES = {
    "403": Cause.REJECTED,
    "404": Cause.INVALID_NUMBER,
    "408": Cause.NO_ANSWER,
    "410": Cause.INVALID_NUMBER,
    "480": Cause.UNAVAILABLE,
    "484": Cause.INVALID_NUMBER,
    "486": Cause.BUSY,
    "487": Cause.NO_ANSWER,
    "500": Cause.GATEWAY_DOWN,
    "502": Cause.GATEWAY_DOWN,
    "503": Cause.GATEWAY_DOWN,
    "504": Cause.UNAVAILABLE,
    "600": Cause.BUSY,
    "603": Cause.REJECTED,
    "604": Cause.INVALID_NUMBER,
    "606": Cause.GATEWAY_DOWN,
}
_NOBODY_THERE = ("connection refused", "host unreachable", "network is unreachable", "no route", "timed out")


def cause_of(words: str, *, was_answered: bool) -> Cause:
    """Return why a call ended, from what the program says of it.

    A telephone that is switched off and a gateway that is not there look alike until the far side has spoken.
    """
    status = words[:3]
    if status in _CAUSES:
        return _CAUSES[status]
    if was_answered:
        return Cause.HUNG_UP
    if any(mark in words.lower() for mark in _NOBODY_THERE):
        return Cause.GATEWAY_DOWN
    if status.isdigit() and status[0] in "456":
        return Cause.REJECTED
    return Cause.UNKNOWN


@dataclass(slots=True, eq=False)
class SipCall:
    """One call on one line."""

    gateway: SipGateway
    line: str
    key: str
    incoming: bool = False
    provider_id: str = ""
    was_answered: bool = False
    ended: Ended | None = None
    prompt: Path | None = None
    _events: queue.Queue[Event] = field(default_factory=lambda: queue.Queue(_EVENTS_MAX))
    _sound_ends_at: float | None = None

    def next_event(self, within_s: float) -> Event | None:
        deadline = time.monotonic() + within_s
        while True:
            now = time.monotonic()
            if self._sound_ends_at is not None and now >= self._sound_ends_at:
                self._sound_ends_at = None
                return Spoken()
            until = min(deadline, self._sound_ends_at or deadline)
            try:
                return self._events.get(timeout=max(0.0, until - now))
            except queue.Empty:
                if self.ended is not None and self._events.empty():
                    return self.ended
                if self._sound_ends_at is None and time.monotonic() >= deadline:
                    return None
                if time.monotonic() >= deadline:
                    return Spoken() if self._is_spoken() else None

    def _is_spoken(self) -> bool:
        if self._sound_ends_at is None or time.monotonic() < self._sound_ends_at:
            return False
        self._sound_ends_at = None
        return True

    def say(self, sound: Path) -> None:
        if self.ended is None:
            with contextlib.suppress(ControlError):
                self.gateway.command(self.line, ("ausrc", f"aufile,{self.gateway.padded(sound)}"))
                self.spoken_from_now(sound)

    def spoken_from_now(self, sound: Path) -> None:
        """Remember when what is played now will be over."""
        self._sound_ends_at = time.monotonic() + audio.seconds_of(sound)

    def hang_up(self) -> None:
        if self.ended is None:
            with contextlib.suppress(ControlError):
                self.gateway.command(self.line, ("hangup", ""))
            self.gateway.forget(self)
            self.put(Ended(Cause.HUNG_UP, "by us"))

    def put(self, event: Event) -> None:
        """Hand an event to whoever waits; the end is kept even where the queue is full."""
        if self.ended is not None:
            return
        if isinstance(event, Ended):
            self.ended = event
        with contextlib.suppress(queue.Full):
            self._events.put_nowait(event)


class SipGateway:
    """Places calls on the lines of one baresip; connects when first needed, and again when it was away."""

    name = "sip"
    can_speak = True
    reports_late = False

    def __init__(self, sidecar: Sidecar, *, on_incoming: Callable[[SipCall], None] | None = None) -> None:
        self.is_real = not sidecar.is_loopback
        self.parallel_max = len(sidecar.lines)
        self.on_incoming = on_incoming
        self._sidecar = sidecar
        self._control: Control | None = None
        self._lock = threading.Lock()
        self._busy: dict[str, SipCall] = {}
        self._known: OrderedDict[str, SipCall] = OrderedDict()
        self._padded: dict[Path, Path] = {}

    # -- the port -----------------------------------------------------------------------------------------------

    def place(self, order: CallOrder) -> SipCall:
        target = self._sidecar.target(order.number)
        self.check()
        self.padded(order.prompt)
        with self._lock:
            known = self._known.get(order.key)
            if known is not None:
                return known
            line = next((line for line in self._sidecar.lines if line not in self._busy), None)
            if line is None:
                raise GatewayDownError("all lines are in use")
            call = SipCall(self, line, order.key, prompt=order.prompt)
            self._busy[line] = call
            self._known[order.key] = call
            while len(self._known) > _KEYS_REMEMBERED_MAX:
                self._known.popitem(last=False)
        try:
            self.command(line, ("dial", target))
        except ControlError as error:
            self.forget(call)
            with self._lock:
                self._known.pop(order.key, None)
            raise GatewayDownError(str(error), uncertain="no answer" in str(error)) from None
        return call

    def check(self) -> None:
        with self._lock:
            if self._control is not None and not self._control.is_lost:
                return
            try:
                self._control = Control(self._sidecar.control, self._take, self._lost)
            except ControlError as error:
                raise GatewayDownError(str(error)) from None
            self._padded.clear()
        self._put_down_receivers()
        self._sidecar.write_silence()

    def _put_down_receivers(self) -> None:
        """End what an earlier connection left running: nobody listens to its keys any more."""
        both = (
            ("uafind", line) if first else ("hangup", "") for line in self._sidecar.lines for first in (1, 0)
        )
        assert self._control is not None
        try:
            self._control.run(*both)
        except ControlError as error:
            raise GatewayDownError(str(error)) from None

    def prune(self, before_s: float) -> None:
        with self._lock:
            self._padded = {sound: copy for sound, copy in self._padded.items() if sound.exists()}
        self._sidecar.prune(before_s)

    def registered(self) -> str:
        """Return what the program says of its accounts."""
        self.check()
        assert self._control is not None
        return self._control.run(("reginfo", ""))[0]

    def close(self) -> None:
        for call in list(self._busy.values()):
            call.hang_up()
        if self._control is not None:
            self._control.close()

    # -- lines --------------------------------------------------------------------------------------------------

    def command(self, line: str, *commands: tuple[str, str]) -> None:
        """Run commands on one line.

        Raises
        ------
        ControlError
            If the program refused one or is not there.
        """
        self.ask(line, *commands)

    def ask(self, line: str, *commands: tuple[str, str]) -> list[str]:
        """Run commands on one line and return what each said.

        Raises
        ------
        ControlError
            If the program refused one or is not there.
        """
        if self._control is None:
            raise ControlError("not connected")
        return self._control.run(("uafind", line), *commands)[1:]

    def answer(self, call: SipCall, prompt: Path) -> None:
        """Take an incoming call; the prompt is played as soon as the line is open."""
        self.padded(prompt)
        call.prompt = prompt
        self.command(call.line, ("accept", ""))

    def forget(self, call: SipCall) -> None:
        """The line is free again."""
        with self._lock:
            if self._busy.get(call.line) is call:
                del self._busy[call.line]

    def padded(self, sound: Path) -> Path:
        """Return a copy of a sound that is followed by silence, where the program can read it."""
        found = self._padded.get(sound)
        if found is None or not found.exists():
            found = self._padded[sound] = self._sidecar.write_padded(sound)
        return found

    # -- what the program says --------------------------------------------------------------------------------------

    def _lost(self) -> None:
        with self._lock:
            calls = list(self._busy.values())
            self._busy.clear()
        for call in calls:
            call.put(Ended(Cause.GATEWAY_DOWN, "the gateway is gone"))

    def _take(self, event: dict[str, Any]) -> None:
        line = str(event.get("accountaor", ""))
        kind = event.get("type")
        call_id = str(event.get("id", ""))
        if kind == "CALL_INCOMING":
            self._ring(line, call_id)
            return
        with self._lock:
            call = self._busy.get(line)
        if call is None or (call.provider_id and call_id and call_id != call.provider_id):
            return
        call.provider_id = call.provider_id or call_id
        match kind:
            case "CALL_RINGING" | "CALL_PROGRESS":
                call.put(Ringing())
            case "CALL_ESTABLISHED":
                self._speak_first(call)
            case "CALL_DTMF_START" if event.get("param"):
                call.put(Digit(str(event["param"])[:1], time.monotonic()))
            case "CALL_CLOSED":
                self.forget(call)
                words = str(event.get("param", ""))
                call.put(Ended(cause_of(words, was_answered=call.was_answered), words[:80]))

    def _speak_first(self, call: SipCall) -> None:
        call.was_answered = True
        if call.prompt is not None and self._control is not None:
            # On the wire's own thread: told, not asked.
            sound = self._padded[call.prompt]
            self._control.tell(("uafind", call.line), ("ausrc", f"aufile,{sound}"))
            call.spoken_from_now(call.prompt)
        call.put(Answered())

    def _ring(self, line: str, call_id: str) -> None:
        with self._lock:
            if line in self._busy or self.on_incoming is None:
                call = None
            else:
                call = SipCall(self, line, f"in:{call_id}", incoming=True, provider_id=call_id)
                self._busy[line] = call
        if call is not None and self.on_incoming is not None:
            self.on_incoming(call)
