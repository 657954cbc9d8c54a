"""Holding every message: nothing leaves the house but what a person lets go; the console is told as ever."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from click.testing import CliRunner

from alerts.channels import Message, Receipt
from alerts.sending.courier import Courier
from alerts.sending.holding import begin_hold, end_hold, load_held
from console.cli import main
from kaimen.clock import ManualClock
from kaimen.database import transaction
from tests.integration.console_world import World, build_world

pytestmark = [pytest.mark.slow, pytest.mark.one_store]


class Listening:
    """A way out of the house that writes down what it was given."""

    is_real = False

    def __init__(self) -> None:
        self.given: list[str] = []

    def deliver(self, message: Message) -> Receipt:
        self.given.append(message.key)
        return Receipt("accepted")


@pytest.fixture
def world(database_url: str, manual_clock: ManualClock) -> Iterator[World]:
    built = build_world(database_url, manual_clock)
    yield built
    built.close()


def plan(world: World, key: str, channel: str = "webhook", case: str = "") -> int:
    case_id = world.case_ids[case or next(iter(world.case_ids))]
    world.write(
        "INSERT INTO outbox (case_id, step, person, channel, idempotency_key, template, state, created_at, not_before)"
        " VALUES (%s, 'call', 'community:wenchang', %s, %s, 'case', 'planned', %s, %s)",
        case_id, channel, key, world.now - timedelta(hours=1), world.now - timedelta(hours=1),
    )  # fmt: skip
    (row,) = world.rows("SELECT id FROM outbox WHERE idempotency_key = %s", key)
    return int(row["id"])


def hold(world: World) -> None:
    with transaction(world.pool) as connection:
        assert begin_hold(connection, reason="restored", by="test", wall=world.now, backup_at=world.now)


def send_all(world: World, way: Listening, channel: str = "webhook") -> list[str]:
    courier = Courier(
        world.pool, world.clock, {channel: way}, "courier", "https://console.test", wall=world.wall
    )
    while courier.send_some():
        pass
    given, way.given = sorted(way.given), []
    return given


def test_while_a_hold_stands_only_what_a_person_let_go_leaves(world: World) -> None:
    way = Listening()
    first, second, third = (plan(world, key) for key in ("first", "second", "third"))
    hold(world)
    assert send_all(world, way) == []
    admin = world.browser("admin")
    shown = admin.get("/admin/held").text
    assert all(f'value="{number}"' in shown for number in (first, second, third))

    world.post(admin, "/admin/held/decide", act="release", ids=str(first))
    world.post(admin, "/admin/held/decide", act="drop", ids=str(second))
    assert send_all(world, way) == ["first"]
    world.post(admin, "/admin/held/open")  # the third still waits for a word
    plan(world, "new")
    assert send_all(world, way) == []
    with transaction(world.pool) as connection:
        assert {row["id"] for row in load_held(connection)} >= {third}
        end_hold(connection, by="test", wall=world.now)
    assert send_all(world, way) == ["new", "third"]
    assert [row["action"] for row in world.rows("SELECT action FROM audit_entries WHERE action LIKE 'outbox%%' ORDER BY id")] == [
        "outbox_released", "outbox_dropped",
    ]  # fmt: skip


def test_the_console_is_told_while_messages_are_held(world: World) -> None:
    plan(world, "inside", channel="console")
    hold(world)
    assert "inside" in send_all(world, Listening(), channel="console")


def test_every_desk_page_says_that_nothing_leaves_and_only_an_administrator_decides(world: World) -> None:
    number = plan(world, "one")
    assert "消息和电话已暂扣" not in world.browser("clerk").get("/alarms").text
    hold(world)
    for name, path in (("clerk", "/alarms"), ("admin", "/admin")):
        assert "消息和电话已暂扣" in world.browser(name).get(path).text
    for name in ("clerk", "watcher", "police", "family", "director", "auditor"):
        browser = world.browser(name)
        assert browser.get("/admin/held").status_code == 403
        assert world.post(browser, "/admin/held/decide", act="release", ids=str(number)).status_code == 403
        assert world.post(browser, "/admin/held/open").status_code == 403
    assert send_all(world, Listening()) == []


def test_the_command_line_lists_drops_and_opens(world: World) -> None:
    first, _ = plan(world, "first"), plan(world, "second")
    hold(world)
    run = CliRunner()
    url = ("--database-url", world.url)
    assert f"{first} " in run.invoke(main, ["outbox", "held", *url]).output
    assert run.invoke(main, ["outbox", "open", *url]).exit_code == 1
    assert "let go" in run.invoke(main, ["outbox", "release", str(first), *url]).output
    dropped = run.invoke(main, ["outbox", "drop", "--all", *url])
    assert dropped.exit_code == 0, dropped.output
    opened = run.invoke(main, ["outbox", "open", *url])
    assert opened.exit_code == 0, opened.output
    assert send_all(world, Listening()) == ["first"]
    assert "nothing is held" in run.invoke(main, ["outbox", "held", *url]).output
