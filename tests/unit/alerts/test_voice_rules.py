"""What the telephone may say and when it may ring: decisions without a telephone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.voice import wording
from alerts.voice.gateway import Cause, InvalidNumberError, dialled
from alerts.voice.keypad import Audience, Meaning, keys_of, meaning_of
from alerts.voice.pacing import ATTEMPTS_MAX, RETRIES_AFTER, WINDOWS, earliest, next_try
from alerts.voice.planning import ASKING, FAMILY_AFTER_ELDER, REPEATS_MAX, URGENT, Callee, plan_calls
from alerts.voice.sip import cause_of
from alerts.voice.wording import LANGUAGES, RECORDABLE, TEXTS, Pause, question, text_of, thanks

NOW = datetime(2025, 11, 17, 1, tzinfo=UTC)
HER = Callee("person:her", Audience.ELDER)
SON = Callee("person:son", Audience.FAMILY)
DAUGHTER = Callee("person:daughter", Audience.FAMILY)
WATCHER = Callee("person:watcher", Audience.STAFF)
DESK = Callee("user:1", Audience.STAFF)


def test_each_audience_has_keys_of_its_own() -> None:
    assert {one: keys_of(one) for one in Audience} == {
        Audience.ELDER: "12", Audience.FAMILY: "12", Audience.STAFF: "1", Audience.TEST: "1",
    }  # fmt: skip
    assert meaning_of(Audience.ELDER, "1") is Meaning.WELL
    assert meaning_of(Audience.FAMILY, "1") is Meaning.TAKES_CARE
    assert meaning_of(Audience.STAFF, "2") is None
    assert all(meaning_of(one, digit) is None for one in Audience for digit in "03456789*#")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("audience", Audience)
def test_the_question_is_said_twice_and_asks_for_its_own_keys(audience: Audience, language: str) -> None:
    pieces = question(audience, "123456")
    assert pieces.count(f"{audience.value}.question") == 2
    words = text_of(f"{audience.value}.question", wording.language_of(language))
    for digit in keys_of(audience):
        assert (digit if language == "en" else {"1": "一", "2": "二"}[digit]) in words
    assert [piece for piece in pieces if isinstance(piece, str) and piece.startswith("digit.")] == [
        f"digit.{digit}" for digit in "123456"
    ]
    assert not [piece for piece in question(audience, None) if isinstance(piece, str) and "digit" in piece]


def test_nothing_said_before_a_key_names_a_person_a_door_or_a_state() -> None:
    telling = ("门", "开门未", "天", "小时", "door", "day", "hour", "missing", "dead", "出事", "失联", "老人")
    for segment, texts in TEXTS.items():
        if segment.startswith(("elder.", "family.", "call_back", "open_question")):
            assert not [word for word in telling for text in texts if word in text], segment


def test_sentences_are_short_and_every_piece_has_words_in_both_languages() -> None:
    for segment, (chinese, english) in TEXTS.items():
        assert chinese and english, segment
        assert max(map(len, chinese.replace("，", "。").split("。"))) <= 16, segment
        assert max(len(part.split()) for part in english.split(".")) <= 12, segment
    assert set(RECORDABLE) <= set(TEXTS)
    for meaning in Meaning:
        assert all(isinstance(piece, Pause) or piece in TEXTS for piece in thanks(meaning))


@given(
    st.lists(st.integers(0, 90_000), max_size=40).map(sorted),
    st.integers(0, 90_000),
)
def test_no_call_is_planned_outside_its_providers_windows(seconds: list[int], now_s: int) -> None:
    placed = [NOW + timedelta(seconds=second) for second in seconds if second <= now_s]
    now = NOW + timedelta(seconds=now_s)
    at = earliest(placed, now)
    assert at >= now
    for window in WINDOWS:
        assert sum(call > at - window.span for call in placed) < window.calls_max
    if at > now:
        just_before = at - timedelta(microseconds=1)
        assert any(
            sum(call > just_before - window.span for call in placed) >= window.calls_max for window in WINDOWS
        ), "waits longer than any window asks for"


def test_all_tries_of_one_call_fit_into_one_hour_of_the_provider() -> None:
    placed = [NOW]
    while (due := next_try(len(placed), placed, placed[-1])) is not None:
        assert due == placed[-1] + RETRIES_AFTER[len(placed) - 1]
        placed.append(due)
    assert len(placed) == ATTEMPTS_MAX
    assert placed[-1] - placed[0] < timedelta(hours=1)
    assert placed[-1] - placed[0] < FAMILY_AFTER_ELDER


@pytest.mark.parametrize("text", ["138 0013 8000", "+86-138-0013-8000", "(010) 6552 9988", "8001"])
def test_a_number_is_dialled_as_people_write_it(text: str) -> None:
    assert dialled(text).lstrip("+").isdigit()


@pytest.mark.parametrize(
    "text", ["", "12", "1380013800@evil", "138;x=1", "call me", "1" * 16, "１３８００１３８０００"]
)
def test_what_is_no_number_is_never_dialled(text: str) -> None:
    with pytest.raises(InvalidNumberError):
        dialled(text)


@pytest.mark.parametrize(
    ("words", "was_answered", "cause"),
    [
        ("486 Busy Here", False, Cause.BUSY),
        ("480 Temporarily Unavailable", False, Cause.UNAVAILABLE),
        ("404 Not Found", False, Cause.INVALID_NUMBER),
        ("Connection reset by peer", True, Cause.HUNG_UP),
        ("Connection refused", False, Cause.GATEWAY_DOWN),
        ("603 Decline", False, Cause.REJECTED),
        ("499 something new", False, Cause.REJECTED),
        ("", False, Cause.UNKNOWN),
    ],
)
def test_why_a_call_ended_is_told_apart(words: str, was_answered: bool, cause: Cause) -> None:
    assert cause_of(words, was_answered=was_answered) is cause


def test_on_the_second_day_a_machine_rings_only_who_agreed_and_her_family_after_her() -> None:
    calls = plan_calls("call", 0, NOW, [HER, SON, DAUGHTER, WATCHER, DESK])
    assert [call.person for call in calls] == ["person:her", "person:son", "person:daughter"]
    assert [call.not_before - NOW for call in calls] == [
        timedelta(0), FAMILY_AFTER_ELDER, FAMILY_AFTER_ELDER + timedelta(minutes=10),
    ]  # fmt: skip
    assert plan_calls("call", 0, NOW, [SON, WATCHER, DESK]) == ()
    assert plan_calls("call", 1, NOW, [HER, SON]) == ()


def test_when_somebody_has_to_go_helpers_desk_and_family_are_rung_and_she_is_not() -> None:
    for step in URGENT:
        people = [call.person for call in plan_calls(step, 0, NOW, [HER, SON, WATCHER, DESK])]
        assert set(people) == {"person:son", "person:watcher", "user:1"}
        again = plan_calls(step, 1, NOW, [HER, SON, WATCHER, DESK])
        assert {call.person for call in again} == {"person:watcher", "user:1"}
        assert plan_calls(step, REPEATS_MAX, NOW, [WATCHER]) == ()


@pytest.mark.parametrize(
    "step", ["warning", "technical", "confirm", "not_seen_1", "stranger", "device_fault", "battery"]
)
def test_nobody_is_rung_for_what_can_wait_for_the_list(step: str) -> None:
    assert step not in ASKING | URGENT
    assert plan_calls(step, 0, NOW, [HER, SON, WATCHER, DESK]) == ()
