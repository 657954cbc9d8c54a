"""A voice the elder knows, for one home: sent as a file, listened to, kept; whose is heard, and whose is not."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from alerts.voice import audio
from alerts.voice.home_voices import load_heard
from console.security import SOUND_BYTES_MAX
from kaimen.clock import ManualClock
from kaimen.database import transaction
from tests.integration.console_world import World, build_world

pytestmark = [pytest.mark.slow, pytest.mark.integration, pytest.mark.one_store]

HOME = "h-wang"
DESK, FAMILY = f"/households/{HOME}/voice", f"/family/{HOME}/voice"


@pytest.fixture
def world(database_url: str, manual_clock: ManualClock) -> Iterator[World]:
    built = build_world(database_url, manual_clock)
    yield built
    built.pool.close()


def tone(pitch_hz: float, seconds: float = 0.6) -> bytes:
    count = int(seconds * audio.RATE_HZ)
    samples = (round(9_000 * math.sin(2 * math.pi * pitch_hz * at / audio.RATE_HZ)) for at in range(count))
    return audio.format_wav(array("h", samples))


def send(world: World, who: str, path: str, sound: bytes, **fields: str) -> tuple[httpx.Client, Any]:
    client = world.browser(who)
    typed = {
        "csrf": world.csrf(client), "segment": "elder.greeting", "language": "zh", "spoken_by": "女儿",
        "dialect": "上海话", "agreed": "yes", **fields,
    }  # fmt: skip
    files = {"sound": ("voice.wav", sound, "audio/wav")} if sound else None
    return client, client.post(path, data=typed, files=files)


def record(world: World, who: str, path: str, sound: bytes, segment: str = "elder.greeting") -> None:
    client, answer = send(world, who, path, sound, segment=segment)
    assert answer.status_code == 303, answer.text
    assert world.post(client, f"{path}/{segment}/keep", language="zh").status_code == 303


def heard(world: World) -> dict[tuple[str, str], bytes]:
    with transaction(world.pool) as connection:
        return load_heard(connection, HOME)


def test_a_file_is_a_draft_until_it_was_kept_and_then_what_is_heard(world: World) -> None:
    client, answer = send(world, "family", FAMILY, tone(400))
    assert answer.status_code == 303
    assert heard(world) == {}
    draft = client.get(f"{FAMILY}/elder.greeting/draft.wav?language=zh")
    assert draft.headers["content-type"] == "audio/wav"
    assert client.get(f"{FAMILY}/elder.greeting/kept.wav?language=zh").status_code == 404
    assert world.post(client, f"{FAMILY}/elder.greeting/keep", language="zh").status_code == 303
    assert heard(world) == {("elder.greeting", "zh"): draft.content}
    page = client.get(FAMILY)
    assert "正在使用" in page.text and "上海话" in page.text
    assert "microphone=(self)" in page.headers["permissions-policy"]
    assert "microphone=()" in client.get("/family").headers["permissions-policy"]
    assert world.post(client, f"{FAMILY}/elder.greeting/end", language="zh").status_code == 303
    assert heard(world) == {}
    noted = [row["action"] for row in world.rows("SELECT action FROM audit_entries ORDER BY id")]
    assert [action for action in noted if action.startswith("voice_")] == [
        "voice_drafted", "voice_kept", "voice_ended",
    ]  # fmt: skip


def test_the_newest_of_those_who_belong_to_the_home_is_heard_and_a_blocked_ones_is_not(world: World) -> None:
    record(world, "clerk", DESK, tone(300))
    world.clock.advance_to(world.clock.now_ms() + 1_000)
    record(world, "family", FAMILY, tone(700))
    client = world.browser("family")
    mine = client.get(f"{FAMILY}/elder.greeting/kept.wav?language=zh").content
    assert heard(world)["elder.greeting", "zh"] == mine
    # Nobody hears another's on her own page.
    assert world.browser("clerk").get(f"{DESK}/elder.greeting/kept.wav?language=zh").content != mine
    world.write(
        "UPDATE user_households SET blocked_at = %s WHERE household_id = %s AND user_id = %s",
        world.now, HOME, world.user_ids["family"],
    )  # fmt: skip
    assert heard(world)["elder.greeting", "zh"] != mine
    # He is not told: his page plays it to him as before.
    assert client.get(f"{FAMILY}/elder.greeting/kept.wav?language=zh").content == mine
    world.write("UPDATE users SET disabled_at = %s WHERE id = %s", world.now, world.user_ids["clerk"])
    assert heard(world) == {}


def test_what_cannot_be_used_is_said_beside_its_field(world: World) -> None:
    for sound, fields, words in (
        (b"", {}, "请先录音"),
        (b"RIFF and nothing", {}, "这不是能用的录音"),
        (tone(400, 0.1), {}, "录音太短"),
        (audio.format_wav(audio.silence(1.0)), {}, "没有声音"),
        (tone(400), {"agreed": ""}, "要说话的人同意才能用"),
        (tone(400), {"spoken_by": " "}, "请写是谁的声音"),
        (tone(400), {"dialect": "话" * 41}, "最多 40 个字"),
        (tone(400), {"segment": "again"}, "请填写"),
    ):
        _, answer = send(world, "clerk", DESK, sound, **fields)
        assert answer.status_code == 422, words
        assert words in answer.text
    assert world.rows("SELECT 1 FROM home_voices") == []


def test_an_upload_is_bounded_and_only_here_larger_than_a_form(world: World) -> None:
    client = world.browser("clerk")
    for path, size in ((DESK, SOUND_BYTES_MAX + 1), (f"/households/{HOME}/evidence", 100_000)):
        answer = client.post(path, content=b"x" * size)
        assert answer.status_code == 413, path


def test_others_homes_and_people_without_one_are_refused(world: World) -> None:
    for who, path, status in (
        ("clerk-b", DESK, 404), ("family", "/family/h-other/voice", 404), ("police", DESK, 403),
        ("family", DESK, 403), ("watcher", FAMILY, 403),
    ):  # fmt: skip
        assert world.browser(who).get(path).status_code == status, (who, path)
        assert send(world, who, path, tone(400))[1].status_code == status, (who, path)
