"""The loop that rings: due calls enter, conversations run side by side, committed answers and results leave.

A call is leased, placed, led to its end and then its result written. Killed in between, the lease runs out in wall
time and the number is rung again inside its provider's windows: nothing is lost, and it rings once too often at most.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import psycopg
from psycopg_pool import PoolTimeout

from alerts import metrics
from alerts.voice import audio, store
from alerts.voice.answers import SAID, load_callee, take_digit
from alerts.voice.conversation import CALL_S_MAX, CommitFailedError, Conversation, Course, Patience, Sounds
from alerts.voice.gateway import (
    Call,
    CallOrder,
    Cause,
    Digit,
    Ended,
    GatewayDownError,
    InvalidNumberError,
    VoiceGateway,
)
from alerts.voice.home_voices import load_heard
from alerts.voice.keypad import Audience, keys_of
from alerts.voice.prompts import CannotSpeakError, Prompts
from alerts.voice.wording import CODE_DIGITS, Language, again, language_of, question, single
from kaimen.clock import Clock, SystemClock, as_datetime
from kaimen.database import Pool, connect, transaction, why_away
from kaimen.logs import get_logger

log = get_logger()

_WAIT_S = 0.5
_PATIENCE_S = 2.0
_RETIRE_EVERY_S = 300.0
_CHECK_EVERY_S = 5.0
_SOUNDS_KEPT_S = 86_400.0
#: Wrong codes in one call, and of all callers within an hour: a code is not to be found by trying.
CODES_WRONG_MAX = 3
CODES_WRONG_PER_HOUR_MAX = 20
_CODE_WITHIN_S = 30.0
_SAID = tuple(sorted({said for said in SAID.values() if said is not None}))


@dataclass(slots=True)
class Dialler:
    """One dialler for one gateway."""

    pool: Pool
    clock: Clock
    gateway: VoiceGateway
    name: str
    folder: Path
    patience: Patience
    wall: Clock = field(default_factory=SystemClock)
    wake: threading.Event = field(default_factory=threading.Event)
    _running: set[threading.Thread] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _voices: dict[str, tuple[tuple[object, ...], Prompts]] = field(default_factory=dict)

    # -- the loop -----------------------------------------------------------------------------------------------

    def run(self, stop: threading.Event) -> None:
        """Ring until ``stop`` is set; look again when woken or after half a second. Ends with every line free."""
        retire_at = check_at = time.monotonic()
        while not stop.is_set():
            try:
                if time.monotonic() >= check_at:
                    check_at = time.monotonic() + _CHECK_EVERY_S
                    self._check()
                if time.monotonic() >= retire_at:
                    retire_at = time.monotonic() + _RETIRE_EVERY_S
                    self._retire()
                if not self.ring_one():
                    self.wake.wait(_WAIT_S)
                    self.wake.clear()
            except (psycopg.OperationalError, PoolTimeout) as error:
                metrics.DATABASE_AWAY.inc()
                log.warning("the database is away", error=why_away(error))
                stop.wait(_PATIENCE_S)
        self.gateway.close()
        for thread in list(self._running):
            thread.join()

    def _retire(self) -> None:
        wall_ms = self.wall.now_ms()
        with transaction(self.pool) as connection:
            store.retire(connection, as_datetime(wall_ms))
        before_s = wall_ms / 1000 - _SOUNDS_KEPT_S
        Prompts(self.folder).prune(before_s)
        self.gateway.prune(before_s)

    def _check(self) -> None:
        try:
            self.gateway.check()
        except GatewayDownError as error:
            metrics.GATEWAY_UP.labels(self.gateway.name).set(0)
            log.warning("the phone gateway is not there", gateway=self.gateway.name, reason=str(error)[:80])
        else:
            metrics.GATEWAY_UP.labels(self.gateway.name).set(1)

    def run_alone(self, stop: threading.Event, *, database_url: str) -> None:
        """Run while no other dialler has this gateway: its wire takes one client only."""
        while not stop.is_set():
            try:
                with connect(database_url, service=f"dialler {self.name}", autocommit=True) as connection:
                    row = connection.execute(
                        "SELECT pg_try_advisory_lock(hashtextextended(%s, 7243)) AS mine",
                        (self.gateway.name,),
                    ).fetchone()
                    if row is not None and row["mine"]:
                        self.run(stop)
                        return
            except psycopg.OperationalError as error:
                log.warning("the database is away", error=why_away(error))
            stop.wait(_PATIENCE_S)

    def ring_one(self) -> bool:
        """Begin the most pressing call, if a line is free and one is due; say whether one was begun."""
        with self._lock:
            if len(self._running) >= self.gateway.parallel_max:
                return False
        work = store.lease(
            self.pool, owner=self.name, gateway=self.gateway.name,
            now=as_datetime(self.clock.now_ms()), wall=as_datetime(self.wall.now_ms()),
        )  # fmt: skip
        if work is None:
            return False
        self._start(lambda: self._ring(work))
        return True

    def _start(self, do: Callable[[], None]) -> None:
        def run() -> None:
            try:
                do()
            except (psycopg.OperationalError, PoolTimeout) as error:
                # The lease runs out and the call is taken up again.
                metrics.DATABASE_AWAY.inc()
                log.warning("the database is away", error=why_away(error))
            except Exception as error:  # noqa: BLE001 - one broken call must not stop the others; its lease runs out
                log.error("a call failed", error=type(error).__name__)
            finally:
                with self._lock:
                    self._running.discard(threading.current_thread())
                self.wake.set()

        thread = threading.Thread(target=run, name=f"{self.name} call", daemon=True)
        with self._lock:
            self._running.add(thread)
        thread.start()

    # -- a call we place ----------------------------------------------------------------------------------------

    def _ring(self, work: store.Work) -> None:
        call: Call | None = None
        committed: list[datetime] = []
        try:
            call, conversation = self._placed(work, committed)
        except CannotSpeakError as error:
            log.error("nothing can be said on the telephone", reason=str(error)[:120])
            course = Course(Cause.GATEWAY_DOWN.value, "no voice")
        except GatewayDownError as error:
            log.warning("the phone gateway takes no call", gateway=self.gateway.name)
            course = Course("uncertain" if error.uncertain else Cause.GATEWAY_DOWN.value, str(error))
        except InvalidNumberError as error:
            course = Course(Cause.INVALID_NUMBER.value, str(error))
        else:
            course = conversation.hold()
        metrics.CALLS.labels(self.gateway.name, work.audience.value, course.result).inc()
        store.finish(
            self.pool, work, course, provider_id=call.provider_id if call else None,
            committed_at=committed[0] if committed else None,
            now=as_datetime(self.clock.now_ms()), wall=as_datetime(self.wall.now_ms()),
        )  # fmt: skip

    def _placed(self, work: store.Work, committed: list[datetime]) -> tuple[Call, Conversation]:
        assert work.callee is not None
        language = language_of(work.callee.language)
        prompts = self._prompts(work.community_id, _home_of(work.audience, work.row["household_id"]))
        # Providers and staff know the code from elsewhere or need none; a machine that answers hears it too.
        prompt = prompts.sound(question(work.audience, work.code), language)
        sounds = _sounds(prompts, work.audience, language)
        call = self.gateway.place(
            CallOrder(
                key=work.attempt_key, number=work.callee.number, prompt=prompt, keys=keys_of(work.audience),
                audience=work.audience.value, language=language,
            )
        )  # fmt: skip
        patience = self.patience
        if self.gateway.reports_late:
            store.note_provider(self.pool, work, call.provider_id)
            patience = Patience(CALL_S_MAX, CALL_S_MAX)
        conversation = Conversation(
            call, work.audience, audio.seconds_of(prompt), sounds, patience,
            commit=lambda digit: self._commit(work.key, digit, work.attempt, committed), can_speak=self.gateway.can_speak,
        )  # fmt: skip
        return call, conversation

    def _prompts(self, community_id: str, home: str | None = None) -> Prompts:
        """Return the community's voices, with those of the home that is rung before them."""
        with transaction(self.pool) as connection:
            heard = load_heard(connection, home) if home is not None else {}
            version = store.recordings_version(connection, community_id)
            known = self._voices.get(community_id)
            if known is None or known[0] != version:
                recordings = store.load_recordings(connection, community_id)
                known = self._voices[community_id] = (version, Prompts(self.folder, recordings))
        return Prompts(self.folder, {**known[1].recordings, **heard}) if heard else known[1]

    def _commit(self, key: str, digit: Digit, attempt: int | None, committed: list[datetime]) -> str:
        """Write a digit and return what is said; the wait from the wire to the commit is measured."""
        wall_ms = self.wall.now_ms()
        waited_ms = max(0, round((time.monotonic() - digit.heard_s) * 1000)) if digit.heard_s else 0
        try:
            with transaction(self.pool) as connection:
                effect = take_digit(
                    connection, key=key, digit=digit.digit, attempt=attempt,
                    now=as_datetime(self.clock.now_ms()), wall=as_datetime(wall_ms),
                    digit_at=as_datetime(wall_ms - waited_ms),
                )  # fmt: skip
        except (psycopg.Error, PoolTimeout, RuntimeError) as error:
            raise CommitFailedError(type(error).__name__) from error
        committed.append(as_datetime(self.wall.now_ms()))
        if digit.heard_s:
            metrics.DIGIT_TO_COMMIT.observe(time.monotonic() - digit.heard_s)
        metrics.CALL_ANSWERS.labels(effect.value).inc()
        return SAID[effect] or ""

    # -- a call back --------------------------------------------------------------------------------------------

    def take_incoming(self, call: Call, answer: Callable[[Path], None]) -> None:
        """Take a call back on a thread of its own; ``answer`` opens the line with a prompt."""
        self._start(lambda: self._called_back(call, answer))

    def _called_back(self, call: Call, answer: Callable[[Path], None]) -> None:
        try:
            result = self._lead_caller(call, answer)
        finally:
            call.hang_up()
        metrics.CALLS.labels(self.gateway.name, "call_back", result).inc()

    def _lead_caller(self, call: Call, answer: Callable[[Path], None]) -> str:
        prompts = self._prompts("")
        language: Language = "zh"
        with transaction(self.pool) as connection:
            failures = store.count_failures(connection, as_datetime(self.wall.now_ms()))
        goodbye = prompts.sound(single("goodbye"), language)
        if failures >= CODES_WRONG_PER_HOUR_MAX:
            answer(goodbye)
            _wait_out(call, goodbye)
            return "blocked"
        wrong = prompts.sound(single("code_wrong"), language)
        answer(prompts.sound(single("open_question"), language))
        found = self._listen_for_code(call, wrong)
        if found is not None:
            return self._ask_caller(call, found)
        call.say(goodbye)
        _wait_out(call, goodbye)
        return "no_code"

    def _listen_for_code(self, call: Call, wrong: Path) -> dict[str, object] | None:
        """Return the outstanding call whose code was entered. Who rings from which number proves nothing."""
        code, failures = "", 0
        until = time.monotonic() + _CODE_WITHIN_S
        while time.monotonic() < until and failures < CODES_WRONG_MAX:
            match call.next_event(max(0.0, until - time.monotonic())):
                case Ended():
                    return None
                case Digit(digit):
                    code += digit
                case _:
                    continue
            if len(code) < CODE_DIGITS:
                continue
            with transaction(self.pool) as connection:
                wall = as_datetime(self.wall.now_ms())
                found = store.find_by_code(connection, code, wall)
                if found is None:
                    store.note_failure(connection, wall)
            if found is not None:
                return found
            code, failures = "", failures + 1
            until = time.monotonic() + _CODE_WITHIN_S
            call.say(wrong)
        return None

    def _ask_caller(self, call: Call, found: dict[str, object]) -> str:
        audience = Audience(str(found["audience"]))
        key = str(found["key"])
        prompts = self._prompts(str(found["community_id"]), _home_of(audience, found["household_id"]))
        with transaction(self.pool) as connection:
            callee = load_callee(connection, str(found["person"]), as_datetime(self.clock.now_ms()))
        language = language_of(callee.language if callee else "zh")
        prompt = prompts.sound(question(audience, None), language)
        call.say(prompt)
        patience = Patience(audio.seconds_of(prompt) + self.patience.answer_s, self.patience.answer_s)
        conversation = Conversation(
            call, audience, audio.seconds_of(prompt), _sounds(prompts, audience, language), patience,
            commit=lambda digit: self._commit(key, digit, None, []),
        )  # fmt: skip
        course = conversation.hold()
        return "no_key" if course.result in (Cause.NO_ANSWER.value, Cause.HUNG_UP.value) else course.result


def _sounds(prompts: Prompts, audience: Audience, language: Language) -> Sounds:
    return Sounds(
        again=prompts.sound(again(audience), language),
        failed=prompts.sound(single("failed"), language),
        thanks={said: prompts.sound(single(said), language) for said in _SAID},
    )


def _wait_out(call: Call, sound: Path) -> None:
    until = time.monotonic() + audio.seconds_of(sound) + 1.0
    while (left := until - time.monotonic()) > 0:
        if isinstance(call.next_event(left), Ended):
            return


def _home_of(audience: Audience, household_id: object) -> str | None:
    """Return whose own voices are heard: an elder's alone; others are spoken to by the community."""
    return str(household_id) if audience is Audience.ELDER and household_id is not None else None
