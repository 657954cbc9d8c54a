"""What the doctor says of devices' sign-ins: who may not speak, and who was refused lately."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from console.doctor.sign_ins import judge_refusals, judge_sign_ins, read_tail
from console.stack.device_users import DeviceUser

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ROOT = Path("/srv/kaimen")
GATEWAY = {"id": "gw-3", "site_id": "garden", "behind": ["c-1", "c-2"]}


def user(*devices: str, site: str = "garden") -> dict[str, DeviceUser]:
    return {"gw-3": DeviceUser("gw-3", "secret", site, devices)}


def test_a_device_put_behind_a_gateway_afterwards_is_named_and_so_is_the_command() -> None:
    line = judge_sign_ins([GATEWAY], user("gw-3", "c-1"), ROOT)
    assert line.state == "attention"
    assert "for c-2:" in line.words
    assert "from-books --dir /srv/kaimen" in line.mend


def test_sign_ins_as_in_the_books_are_well_and_those_of_another_site_or_none_are_not() -> None:
    assert judge_sign_ins([GATEWAY], user("gw-3", "c-1", "c-2"), ROOT).state == "ok"
    for users in (user("gw-3", "c-1", "c-2", site="other"), {}):
        assert "gw-3, c-1, c-2" in judge_sign_ins([GATEWAY], users, ROOT).words


def logged(event: str, minutes: int = 5) -> str:
    return json.dumps(
        {"event": event, "level": "error", "timestamp": (NOW - timedelta(minutes=minutes)).isoformat()}
    )


def test_the_brokers_refusals_of_the_last_hour_are_told_once_each() -> None:
    wrong_key = '[1] [ERR] 127.0.0.1:1 - mid:65 - "c-201" - authentication error - User "c-201"'
    not_its_own = (
        '[1] [ERR] 127.0.0.1:1 - mid:6 - "gw-3" - Publish Violation - Subject "kaimen.v1.f.5.garden.c-9.evt"'
    )
    lines = [logged(wrong_key), logged(wrong_key, 4), logged(not_its_own), "not a line error Violation"]
    (line,) = judge_refusals(lines, NOW)
    assert "c-201: unknown, or wrong password (2 times)" in line.words
    assert "gw-3 spoke for garden/c-9, which is not its own" in line.words
    assert list(judge_refusals([logged(wrong_key, 61)], NOW)) == []


def test_a_channel_there_is_not_is_told_apart_from_a_device_that_is_not_its_own() -> None:
    for topic in ("kaimen/v1/f/5/garden/c-9/event", "kaimen/v1/f/5/garden/c-9/evt/1", "kaimen/v2/c-9"):
        said = f'[1] [ERR] - "c-9" - Publish Violation - Subject "{topic.replace("/", ".")}"'
        (line,) = judge_refusals([logged(said)], NOW)
        assert f"c-9 spoke on {topic}, where nobody listens" in line.words


def test_no_log_is_no_refusal(tmp_path: Path) -> None:
    assert read_tail(tmp_path / "nats.log") == []
