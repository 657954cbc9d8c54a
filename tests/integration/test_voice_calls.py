"""Telephone calls with real SIP, real sound and real keys on loopback: who is reached, and what is written then."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psycopg
import pytest

from alerts.channels.voice_call import VoiceChannel
from alerts.duty.shifts import keep_duty
from alerts.sending.courier import Courier
from alerts.sending.outbox import write_single
from alerts.sending.recipients import Address
from alerts.voice import audio, wording
from alerts.voice.conversation import Patience
from alerts.voice.dialler import Dialler
from alerts.voice.gateway import Answered, Ended
from alerts.voice.home_voices import Place, keep, save_draft
from alerts.voice.keypad import Audience
from alerts.voice.prompts import Prompts
from alerts.voice.sip import SipCall, SipGateway
from alerts.voice.wording import LANGUAGES, TEXTS, question, single
from kaimen.database import open_pool, transaction
from tests.fix_database import DatabaseServer
from tests.fix_servers import Program, wait_until
from tests.phone_world import EXTENSIONS, Phone, PhoneWorld, found_at, phone_world, samples_of
from tests.unit.alerts.town import Town, build_town

pytestmark = [pytest.mark.slow, pytest.mark.integration]

PARALLEL = (1, 5, 20)
WAVES = (EXTENSIONS[:1], EXTENSIONS[1:6], EXTENSIONS[6:26])
PATIENCE = Patience(ring_s=1.5, answer_s=0.6)


@pytest.fixture(scope="module")
def world() -> Iterator[PhoneWorld]:
    with phone_world() as world:
        yield world


@pytest.fixture(autouse=True)
def breathless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prompts without the pauses an elder needs."""
    for name in ("_PAUSE_S", "_LONG_PAUSE_S", "_DIGIT_PAUSE_S"):
        monkeypatch.setattr(wording, name, 0.05)


@pytest.fixture
def town(database_server: DatabaseServer, database_url: str) -> Iterator[Town]:
    if database_server.kind != "plain":
        pytest.skip("a telephone knows nothing of how events are stored: once is enough")
    with build_town(database_url) as town:
        speak_shortly(town)
        yield town


def speak_shortly(town: Town) -> None:
    """Record every segment as a short noise of its own, so that tests are short and sounds are told apart."""
    with psycopg.connect(town.url) as connection:
        for index, segment in enumerate(TEXTS):
            noise = np.random.default_rng(index).normal(0, 4_000, 1_600).clip(-30_000, 30_000).astype("<i2")
            sound = audio.format_wav(audio.read_wav(_wav(noise)))
            for language in LANGUAGES:
                connection.execute(
                    "INSERT INTO voice_recordings VALUES ('c1', %s, %s, %s, 'test', %s, '2025-01-01')",
                    (segment, language, sound, town.users["clerk"]),
                )


def _wav(noise: np.ndarray) -> bytes:
    from array import array

    return audio.format_wav(array("h", noise.tolist()))


_ELDER = """
WITH home AS (INSERT INTO households (id, site_id, label, building, unit, floor, room, watched_from)
    VALUES (%(household)s, 's1', %(household)s, '3', '1', 12, '01', '2025-01-01') RETURNING id),
  consent AS (INSERT INTO consents (household_id, purpose, given_by, given_at)
    SELECT id, 'watch', 'her', '2025-01-01' FROM home),
  person AS (INSERT INTO persons (id, household_id, relation) SELECT id || '-elder', id, 'resident' FROM home RETURNING id),
  identity AS (INSERT INTO person_identities SELECT id, 'Somebody', %(number)s FROM person),
  agreed AS (INSERT INTO call_profiles (person_id, automatic_from, automatic_agreed_by)
    SELECT id, '2025-01-01', 'her daughter' FROM person),
  crossing AS (INSERT INTO stage_crossings (household_id, stage, at, announced_at, evidence_at, evidence, inactive_ms,
      elapsed_ms, thresholds_ms)
    SELECT id, 2, %(now)s, %(now)s, %(now)s - interval '2 days', '{"kind": "opening"}', 172800000, 172800000,
      '{86400000,172800000,259200000}' FROM home RETURNING id, household_id)
INSERT INTO happenings (kind, fact_id, household_id, at) SELECT 'crossing', id, household_id, %(now)s FROM crossing
"""


def elders(town: Town, numbers: tuple[str, ...]) -> None:
    """People who agreed to be rung, each with a case that asks for a call; more of them at each time."""
    with psycopg.connect(town.url) as connection:
        for number in numbers:
            connection.execute(_ELDER, {"household": f"h{number}", "number": number, "now": town.now})
    town.settle(town.worker(outside_channels=("voice",)))
    send_calls(town)


def send_calls(town: Town) -> None:
    """Let the courier hand over what is to be rung."""
    courier = Courier(
        town.pool,
        town.clock,
        {"voice": VoiceChannel(town.url, is_real=False)},
        "k1",
        "https://kaimen.example",
    )
    while courier.send_one():
        pass


_ENDED = """
SELECT a.*, c.household_id FROM call_attempts a JOIN calls l ON l.id = a.call_id JOIN outbox o ON o.id = l.outbox_id
JOIN cases c ON c.id = o.case_id WHERE a.ended_at IS NOT NULL ORDER BY a.call_id, a.attempt
"""


@dataclass
class Ringing:
    """A running dialler."""

    dialler: Dialler
    town: Town

    def ended(self, count: int) -> list[dict[str, object]]:
        """Return the attempts once so many are over."""

        def done() -> bool:
            return len(self._attempts()) >= count

        wait_until(done, f"{count} attempts are over", within_s=25)
        return self._attempts()

    def ended_of(self, numbers: tuple[str, ...]) -> None:
        """Wait until everybody of a wave was rung."""
        wait_until(
            lambda: {f"h{number}" for number in numbers} <= {row["household_id"] for row in self._attempts()},
            f"{len(numbers)} calls are over",
            within_s=25,
        )

    def _attempts(self) -> list[dict[str, object]]:
        return self.town.rows(_ENDED)


@contextmanager
def ringing(
    town: Town, gateway: SipGateway, folder: Path, *, patience: Patience = PATIENCE
) -> Iterator[Ringing]:
    pool = open_pool(town.url, service="dialler", size_max=12)
    dialler = Dialler(pool, town.clock, gateway, "d1", folder / "cache", patience)
    gateway.on_incoming = lambda call: dialler.take_incoming(
        call, lambda prompt: gateway.answer(call, prompt)
    )
    stop = threading.Event()
    thread = threading.Thread(target=dialler.run, args=(stop,))
    thread.start()
    try:
        yield Ringing(dialler, town)
    finally:
        stop.set()
        dialler.wake.set()
        thread.join()
        pool.close()


Behaviour = Callable[[Phone, SipCall], None]


def heard(call: SipCall) -> None:
    """Wait until the line is open."""
    deadline = time.monotonic() + 10
    while not isinstance(call.next_event(0.5), Answered):
        assert time.monotonic() < deadline and call.ended is None


def presses(*digits: str, after_s: float = 0.0) -> Behaviour:
    def behave(phone: Phone, call: SipCall) -> None:
        phone.answer(call)
        heard(call)
        if after_s:
            call.next_event(after_s)
        for digit in digits:
            phone.press(digit)
            call.next_event(0.35)  # a finger takes its time; the program sends one key after the other
        while not isinstance(call.next_event(5), Ended):
            pass

    return behave


def hangs_up_then_presses(phone: Phone, call: SipCall) -> None:
    phone.answer(call)
    heard(call)
    phone.hang_up()
    with pytest.raises(Exception):  # noqa: B017 - there is no call to press a key in
        phone.press("1")
        raise RuntimeError("no call")


def is_busy(phone: Phone, _call: SipCall) -> None:
    phone.hang_up()


def lets_it_ring(_phone: Phone, _call: SipCall) -> None:
    return


#: What the callee does; the result of the attempt; the meaning written; words of evidence; calls for help.
MATRIX: dict[str, tuple[Behaviour, str, str | None, int, int]] = {
    "key 1": (presses("1", after_s=0.3), "confirmed", "well", 1, 0),
    "key 2": (presses("2", after_s=0.3), "confirmed", "help", 0, 1),
    "wrong key": (presses("7", "8", "9"), "wrong_key", None, 0, 0),
    "no key": (presses(), "no_key", None, 0, 0),
    "key during the prompt": (presses("1"), "confirmed", "well", 1, 0),
    "key after hang-up": (hangs_up_then_presses, "no_key", None, 0, 0),
    "two keys": (presses("1", "2"), "confirmed", "help", 1, 1),
    "busy": (is_busy, "busy", None, 0, 0),
    "rings out": (lets_it_ring, "no_answer", None, 0, 0),
}
#: Numbers a switchboard refuses, by the first digits that say how.
REFUSED = {
    "busy": ("486", "busy"),
    "unavailable": ("480", "unavailable"),
    "invalid number": ("404", "invalid_number"),
    "switchboard down": ("503", "gateway_down"),
}


@pytest.mark.parametrize("case", MATRIX)
def test_only_a_pressed_key_reaches_somebody(town: Town, world: PhoneWorld, case: str) -> None:
    behaviour, result, meaning, words, helped = MATRIX[case]
    for phone in world.phones.values():
        phone.behave = behaviour
        phone.faults.clear()  # a call cut off at the end of the case before is not this one's
    with ringing(town, world.gateway(), world.folder) as running:
        for numbers in WAVES:
            elders(town, numbers)
            running.ended_of(numbers)
        attempts = running.ended(26)
    assert [row["result"] for row in attempts] == [result] * 26
    calls = town.rows("SELECT state, meaning FROM calls")
    assert {row["meaning"] for row in calls} == {meaning}
    assert {row["state"] for row in calls} == {"answered" if meaning else "planned"}
    assert len(town.rows("SELECT 1 FROM verified_contacts WHERE how = 'remote'")) == words * 26
    assert len(town.rows("SELECT 1 FROM signals WHERE kind = 'sos'")) == helped * 26
    states = {row["state"] for row in town.rows("SELECT state FROM outbox WHERE channel = 'voice'")}
    assert states == {"confirmed" if meaning else "accepted"}
    assert not [fault for phone in world.phones.values() for fault in phone.faults]


@pytest.mark.parametrize("case", REFUSED)
def test_a_refused_call_says_why(town: Town, world: PhoneWorld, case: str) -> None:
    prefix, result = REFUSED[case]
    with ringing(town, SipGateway(world.refusing), world.folder) as running:
        for wave in WAVES:
            numbers = tuple(f"{prefix}{number}" for number in wave)
            elders(town, numbers)
            running.ended_of(numbers)
        attempts = running.ended(26)
    assert [row["result"] for row in attempts] == [result] * 26
    permanent = result == "invalid_number"
    states = {row["state"] for row in town.rows("SELECT state FROM calls")}
    assert states == {"unreached" if permanent else "planned"}
    words = {row["words"] for row in town.rows("SELECT words FROM case_entries WHERE fact LIKE 'call:%%'")}
    assert words == ({"phone_unreached"} if permanent else set())


@pytest.mark.parametrize("count", PARALLEL)
def test_a_gateway_that_dies_in_the_call_is_nobodys_answer(town: Town, world: PhoneWorld, count: int) -> None:
    for phone in world.phones.values():
        phone.behave = presses()
    elders(town, EXTENSIONS[:count])
    with ringing(town, world.gateway(), world.folder) as running:
        wait_until(
            lambda: len(town.rows("SELECT 1 FROM call_attempts")) == count, "all are placed", within_s=10
        )
        world.program.kill()
        attempts = running.ended(count)
    world.start_again()
    assert {row["result"] for row in attempts} == {"gateway_down"}
    assert {row["state"] for row in town.rows("SELECT state FROM calls")} == {"planned"}


def test_the_callee_hears_the_question_and_the_thanks_only_after_the_commit(
    town: Town, world: PhoneWorld
) -> None:
    phone = world.phones[EXTENSIONS[0]]
    phone.behave = presses("1", after_s=2.5)
    elders(town, EXTENSIONS[:1])
    before = set(world.recorded())
    with psycopg.connect(town.url) as blocker, ringing(town, world.gateway(), world.folder) as running:
        # Whoever holds the household holds up the commit.
        blocker.execute("SELECT pg_advisory_xact_lock(hashtextextended('household:h201', 7241))")
        wait_until(lambda: bool(phone_digit(town)), "the answer waits for the lock", within_s=10)
        time.sleep(1.0)  # the time in which thanks would be spoken too early
        assert not town.rows("SELECT 1 FROM calls WHERE state = 'answered'")
        blocker.rollback()
        attempt = running.ended(1)[0]
    (recording,) = set(world.recorded()) - before
    sounds = samples_of(recording)
    prompts = Prompts(world.folder / "cache", recordings_of(town))
    code = town.row("SELECT code FROM calls")["code"]
    asked = samples_of(prompts.sound(question(Audience.ELDER, code), "zh"))[: 2 * audio.RATE_HZ]
    likeness, asked_at = found_at(sounds, asked)
    assert likeness > 0.99
    thanks, thanked_at = found_at(sounds, spoken(prompts, "thanks.well"))
    assert thanks > 0.99
    # Played from the first second on; the key came after 2.5 s, and the lock held the commit for one more.
    assert thanked_at - asked_at >= 3.4, "thanks were spoken before the commit"
    assert found_at(sounds, spoken(prompts, "thanks.help"))[0] < 0.5
    assert 0.9 < attempt["committed_at"].timestamp() - attempt["digit_at"].timestamp() < 4.0  # type: ignore[attr-defined]


def test_an_elder_hears_the_voice_recorded_for_her_home(town: Town, world: PhoneWorld) -> None:
    phone = world.phones[EXTENSIONS[0]]
    phone.behave = presses("1", after_s=1.0)
    elders(town, EXTENSIONS[:1])
    (home,) = [row["household_id"] for row in town.rows("SELECT household_id FROM cases")]
    noise = np.random.default_rng(99).normal(0, 4_000, 2_400).clip(-30_000, 30_000).astype("<i2")
    place = Place(home, "zh", town.users["clerk"])
    with transaction(town.pool) as connection:
        for segment in ("elder.greeting", "thanks.well"):
            save_draft(
                connection, place, segment, sound=_wav(noise), spoken_by="a neighbour", dialect="上海话",
                now=town.now,
            )  # fmt: skip
        assert keep(connection, place, "elder.greeting", town.now)  # the thanks stay a draft
    before = set(world.recorded())
    with ringing(town, world.gateway(), world.folder) as running:
        running.ended(1)
    (recording,) = set(world.recorded()) - before
    sounds = samples_of(recording)
    own = Prompts(world.folder / "cache", {("elder.greeting", "zh"): _wav(noise)})
    likeness, _ = found_at(sounds, samples_of(own.sound(single("elder.greeting"), "zh"))[2_400:4_800])
    assert likeness > 0.99, "her own greeting was played"
    others = Prompts(world.folder / "cache", recordings_of(town))
    assert found_at(sounds, spoken(others, "elder.greeting"))[0] < 0.5, "the community's was not"
    assert found_at(sounds, spoken(others, "thanks.well"))[0] > 0.99, "what is a draft is heard by nobody"


def test_the_monthly_test_rings_and_only_a_pressed_key_is_reaching(town: Town, world: PhoneWorld) -> None:
    numbers = dict(zip(("clerk", "second"), EXTENSIONS, strict=False))
    with transaction(town.pool) as connection:
        connection.execute(
            "INSERT INTO duty_rosters VALUES ('c1', 'property_clerk', 1, %s, 'x')", (town.now,)
        )
        for name, number in numbers.items():
            user_id = town.users[name]
            connection.execute("INSERT INTO staff_phones (user_id, phone) VALUES (%s, %s)", (user_id, number))
            outbox_id = write_single(
                connection, step="test", template="test", now=town.now, key=f"live_{name}",
                address=Address(0, f"user:{user_id}", "voice"),
                args={"number": "", "audience": "test", "community": "c1"},
            )  # fmt: skip
            connection.execute(
                "INSERT INTO live_tests (community_id, user_id, month, due_at, state, outbox_id, started_at)"
                " VALUES ('c1', %s, %s, %s, 'calling', %s, %s)",
                (
                    user_id,
                    town.now.date().replace(day=1),
                    town.now,
                    outbox_id,
                    town.now,
                ),
            )
    world.phones[numbers["clerk"]].behave = presses("1", after_s=0.3)
    world.phones[numbers["second"]].behave = lets_it_ring
    send_calls(town)
    ended = "SELECT result FROM call_attempts WHERE ended_at IS NOT NULL ORDER BY call_id, attempt"
    with ringing(town, world.gateway(), world.folder):
        wait_until(lambda: len(town.rows(ended)) >= 2, "both were rung", within_s=60)
    assert {row["result"] for row in town.rows(ended)} == {"confirmed", "no_answer"}
    with transaction(town.pool) as connection:
        keep_duty(connection, now=town.now)
    states = "SELECT u.name, t.state FROM live_tests t JOIN users u ON u.id = t.user_id ORDER BY u.name"
    assert [(row["name"], row["state"]) for row in town.rows(states) if row["name"] in numbers] == [
        ("clerk", "reached"),
        ("second", "calling"),
    ]
    assert town.rows("SELECT 1 FROM case_entries") == [], "it belongs to no case"


def recordings_of(town: Town) -> dict[tuple[str, str], bytes]:
    rows = town.rows("SELECT segment, language, sound FROM voice_recordings")
    return {(row["segment"], row["language"]): row["sound"] for row in rows}


def spoken(prompts: Prompts, segment: str) -> np.ndarray:
    """A segment's own sound, without the breath around it."""
    return samples_of(prompts.sound(single(segment), "zh"))[2_400:4_000]


def phone_digit(town: Town) -> list[dict[str, object]]:
    return town.rows("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")


def test_a_key_is_committed_within_three_tenths_of_a_second(town: Town, world: PhoneWorld) -> None:
    # Twenty people take up at once; each finds the key within a second, at his own pace.
    for index, number in enumerate(EXTENSIONS):
        world.phones[number].behave = presses("1", after_s=0.05 + index * 0.05)
    elders(town, EXTENSIONS[:20])
    with ringing(town, world.gateway(), world.folder) as running:
        attempts = running.ended(20)
    assert all(row["result"] == "confirmed" for row in attempts)
    took = sorted(
        (row["committed_at"] - row["digit_at"]).total_seconds()  # type: ignore[operator]
        for row in attempts
    )
    print("digit to commit, seconds:", took)
    # Other tests use the same processors meanwhile: one key may be late, none is lost.
    assert took[-2] < 0.3, took
    assert took[-1] < 2.0, took


def types(phone: Phone, digits: str) -> None:
    for digit in digits:
        phone.press(digit)
        time.sleep(0.3)  # a finger takes its time; the program sends one key after the other


def outgoing(phone: Phone, world: PhoneWorld) -> None:
    """Ring the number that is shown, and wait until it is taken up."""
    phone.gateway.command(phone.line, ("dial", f"sip:kaimen1@{world.sidecar.listen}"))
    wait_until(lambda: "ESTABLISHED" in phone.status(), "the call back is taken up", within_s=10)


def test_who_calls_back_must_know_the_code_whatever_number_he_rings_from(
    town: Town, world: PhoneWorld
) -> None:
    phone = world.phones[EXTENSIONS[0]]
    phone.behave = is_busy
    elders(town, EXTENSIONS[:1])
    with ringing(town, world.gateway(), world.folder) as running:
        running.ended(1)
        call = town.row("SELECT code, state FROM calls")
        assert call["state"] == "planned"
        outgoing(phone, world)
        # Her own telephone and her own key, but no code: nothing is taken.
        types(phone, "1")
        wrong = "111111" if call["code"] != "111111" else "222222"
        types(phone, wrong[1:])
        wait_until(
            lambda: bool(town.rows("SELECT 1 FROM call_back_failures")), "the code is refused", within_s=10
        )
        assert not town.rows("SELECT 1 FROM verified_contacts")
        types(phone, call["code"])
        types(phone, "1")
        wait_until(
            lambda: town.row("SELECT state FROM calls")["state"] == "answered",
            "the answer is written",
            within_s=10,
        )
        phone.hang_up()
    assert town.row("SELECT meaning, effect FROM calls") == {"meaning": "well", "effect": "phone_well"}
    assert len(town.rows("SELECT 1 FROM verified_contacts")) == 1


def test_the_alerts_service_itself_rings_and_writes_the_answer(
    town: Town, world: PhoneWorld, tmp_path: Path
) -> None:
    phone = world.phones[EXTENSIONS[0]]
    phone.behave = presses("1")
    elders(town, EXTENSIONS[:1])
    sidecar = world.sidecar
    environment = {
        **os.environ,
        "KAIMEN_DATABASE_URL": town.url,
        "KAIMEN_VOICE_GATEWAY": "sip",
        "KAIMEN_SIP_ACCOUNT": sidecar.lines[0].replace("kaimen1@", "kaimen{line}@"),
        "KAIMEN_SIP_LINES": "20",
        "KAIMEN_SIP_DIAL": sidecar.dial,
        "KAIMEN_SIP_CONTROL": f"{sidecar.control[0]}:{sidecar.control[1]}",
        "KAIMEN_SIP_FOLDER": str(sidecar.folder),
        "KAIMEN_VOICE_FOLDER": str(tmp_path / "cache"),
        "KAIMEN_VOICE_RING_S": "5",
    }
    service = Program(
        "alerts", [sys.executable, "-m", "alerts"], tmp_path / "alerts.log", environment=environment
    )
    service.start()
    try:
        service.wait_until(lambda: town.row("SELECT state FROM calls")["state"] == "answered", within_s=40)
    finally:
        assert service.stop() == 0, service.last_words()
    assert town.row("SELECT effect FROM calls")["effect"] == "phone_well"
