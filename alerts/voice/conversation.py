"""One call from ringing to its end: a call, its sounds and a way to commit enter, how it went leaves.

Answered is not reached. Thanks are spoken after ``commit`` has returned, and never before.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from alerts.voice import audio
from alerts.voice.gateway import Answered, Call, Cause, Digit, Ended, Ringing, Spoken
from alerts.voice.keypad import WRONG_KEYS_MAX, Audience, Meaning, meaning_of

#: No call takes longer, whatever happens on it.
CALL_S_MAX = 140.0
#: After the thanks, how long a second key is listened to: help asked for late is help asked for.
_LISTEN_AFTER_S = 1.0
_TURN_S = 0.5


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to let it ring, and how long to wait for a key after the question."""

    ring_s: float
    answer_s: float


@dataclass(frozen=True, slots=True)
class Sounds:
    """What a conversation may have to say, made before the call; ``thanks`` by what the commit returned."""

    again: Path
    failed: Path
    thanks: dict[str, Path]


@dataclass(slots=True)
class Course:
    """How a call went: ``result`` is ``confirmed``, ``no_key``, ``wrong_key``, ``not_committed`` or a cause."""

    result: str = ""
    detail: str = ""
    was_answered: bool = False
    wrong_count: int = 0
    digit: str | None = None


class CommitFailedError(Exception):
    """The answer could not be written."""


Commit = Callable[[Digit], str]


@dataclass(slots=True)
class Conversation:
    """The state of one call; ``commit`` writes a digit and returns the name of what is then said."""

    call: Call
    audience: Audience
    question_s: float
    sounds: Sounds
    patience: Patience
    commit: Commit
    can_speak: bool = True

    def hold(self) -> Course:
        """Lead the call to its end; the line is free afterwards."""
        course = Course()
        started = time.monotonic()
        deadline = started + self.patience.ring_s
        try:
            while True:
                event = self.call.next_event(min(_TURN_S, max(0.0, deadline - time.monotonic())))
                match event:
                    case Answered():
                        course.was_answered = True
                        deadline = self._listen_until(self.question_s)
                    case Spoken():
                        deadline = min(deadline, self._listen_until(0))
                    case Digit():
                        deadline = self._take(event, course)
                        if course.result:
                            return course
                    case Ended():
                        return _ended(course, event)
                    case Ringing() | None:
                        pass
                if time.monotonic() >= min(deadline, started + CALL_S_MAX):
                    return _given_up(course)
        finally:
            self.call.hang_up()

    def _listen_until(self, sound_s: float) -> float:
        return time.monotonic() + sound_s + self.patience.answer_s

    def _take(self, event: Digit, course: Course) -> float:
        course.was_answered = True
        meaning = meaning_of(self.audience, event.digit)
        if meaning is None:
            course.wrong_count += 1
            if course.wrong_count >= WRONG_KEYS_MAX:
                course.result = "wrong_key"
                return 0.0
            self.call.say(self.sounds.again)
            return self._listen_until(audio.seconds_of(self.sounds.again))
        course.digit = event.digit
        if self._committed(event, course):
            course.result = "confirmed"
            if meaning is not Meaning.HELP:
                self._listen_for_help(course)
        return 0.0

    def _committed(self, event: Digit, course: Course) -> bool:
        try:
            said = self.commit(event)
        except CommitFailedError as error:
            course.result, course.detail = "not_committed", str(error)
            self._say_out(self.sounds.failed)
            return False
        sound = self.sounds.thanks.get(said)
        if sound is not None and self.can_speak:
            self.call.say(sound)
            if meaning_of(self.audience, event.digit) is Meaning.HELP:
                self._wait_out(sound)
        return True

    def _say_out(self, sound: Path) -> None:
        if self.can_speak:
            self.call.say(sound)
            self._wait_out(sound)

    def _wait_out(self, sound: Path) -> None:
        until = time.monotonic() + audio.seconds_of(sound) + _LISTEN_AFTER_S
        while time.monotonic() < until:
            if isinstance(self.call.next_event(max(0.0, until - time.monotonic())), Spoken | Ended):
                return

    def _listen_for_help(self, course: Course) -> None:
        """Let the thanks be heard; a key for help pressed meanwhile is one."""
        until = time.monotonic() + max(map(audio.seconds_of, self.sounds.thanks.values()))
        while (left := until - time.monotonic()) > 0:
            match self.call.next_event(left):
                case Digit() as event if meaning_of(self.audience, event.digit) is Meaning.HELP:
                    if self._committed(event, course):
                        course.digit = event.digit
                    return
                case Spoken() | Ended():
                    return


def _ended(course: Course, event: Ended) -> Course:
    course.detail = event.detail
    if course.wrong_count:
        course.result = "wrong_key"
    elif course.was_answered and event.cause is not Cause.GATEWAY_DOWN:
        course.result = "no_key"
    else:
        course.result = event.cause.value
    return course


def _given_up(course: Course) -> Course:
    if course.wrong_count:
        course.result = "wrong_key"
    else:
        course.result = "no_key" if course.was_answered else Cause.NO_ANSWER.value
    return course
