"""The fan-out of changes: who is told what, coming back, slow readers, the end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from console.api.live import filter_for
from console.scope import Viewer
from console.stream import QUEUE_LENGTH, Change, Hub, TooManyClientsError
from kaimen.vocabulary import Role

CASE = Change("cases", "7", "a", "h", named_for_police=False)
VISIT = Change("cases", "8", "a", "h", named_for_police=True)
STATE = Change("states", "h", "a", "h")
TECHNICAL = Change("cases", "9", "a", None, technical=True)


def viewer(role: Role, community: str | None = "a", *households: str) -> Viewer:
    return Viewer(1, "n", "N", role, community, household_ids=frozenset(households))


@pytest.mark.parametrize(
    ("who", "told"),
    [
        (viewer(Role.PROPERTY_CLERK), [{"case": 7}, {"case": 8}, {"household": "h"}, {"case": 9}]),
        (viewer(Role.PROPERTY_CLERK, "b"), [None, None, None, None]),
        (viewer(Role.POLICE_OFFICER), [{}, {"case": 8}, {}, {}]),
        (viewer(Role.POLICE_OFFICER, "b"), [None, None, None, None]),
        (viewer(Role.FAMILY, None, "h"), [{"case": 7}, {"case": 8}, {"household": "h"}, None]),
        (viewer(Role.FAMILY, None, "other"), [None, None, None, None]),
        (viewer(Role.NEIGHBOUR_WATCHER), [{}, {}, {}, {}]),
        (viewer(Role.ADMIN, None), [{}, {}, {}, {"case": 9}]),
    ],
)
def test_a_viewer_learns_only_the_ids_it_may_see(who: Viewer, told: list[dict[str, Any] | None]) -> None:
    tells = filter_for(who)
    assert [tells(change) for change in (CASE, VISIT, STATE, TECHNICAL)] == told
    assert tells(Change("cases")) == {}


async def _stands() -> bool:
    return True


def _parse(part: bytes) -> list[dict[str, Any]]:
    found = []
    for block in part.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if fields.get("event", "alive") != "alive":
            found.append({"id": fields["id"], "event": fields["event"], "data": json.loads(fields["data"])})
    return found


def _follow(hub: Hub, last_id: str | None = None, heartbeat_s: float = 5) -> AsyncGenerator[bytes, None]:
    tells = filter_for(viewer(Role.PROPERTY_CLERK))
    return hub.follow(tells, last_id=last_id, stands=_stands, heartbeat_s=heartbeat_s)


def test_a_change_reaches_every_client_and_what_was_missed_is_told_on_return() -> None:
    async def story() -> None:
        hub = Hub()
        one, two = _follow(hub), _follow(hub)
        first = _parse(await anext(one))[0]
        await anext(two)
        hub.publish([CASE])
        heard = [_parse(await anext(client))[0] for client in (one, two)]
        assert [item["data"] for item in heard] == [{"case": 7}, {"case": 7}]
        await one.aclose()
        hub.publish([VISIT, STATE])
        back = _follow(hub, heard[0]["id"])
        assert [item["data"] for item in _parse(await anext(back))] == [{"case": 8}, {"household": "h"}]
        from_the_start = _follow(hub, first["id"])
        assert len(_parse(await anext(from_the_start))) == 3
        for client in (two, back, from_the_start):
            await client.aclose()

    asyncio.run(story())


@pytest.mark.parametrize("last_id", ["otherrun-1", "nonsense", "-", "{run}-0", "{run}-999", ""])
def test_what_the_ring_cannot_tell_is_fetched_again(last_id: str) -> None:
    async def story() -> None:
        hub = Hub(ring_length=2)
        client = _follow(hub)
        run = _parse(await anext(client))[0]["id"].partition("-")[0]
        hub.publish([CASE, VISIT, STATE])
        back = _follow(hub, last_id.replace("{run}", run))
        assert [item["event"] for item in _parse(await anext(back))] == ["refetch"]
        await client.aclose()
        await back.aclose()

    asyncio.run(story())


def test_a_slow_reader_is_told_to_fetch_everything_and_holds_nobody_up() -> None:
    async def story() -> None:
        hub = Hub()
        slow, quick = _follow(hub), _follow(hub)
        await anext(slow)
        await anext(quick)
        heard = []
        for number in range(QUEUE_LENGTH + 5):
            hub.publish([Change("cases", str(number), "a", "h")])
            heard.append(_parse(await anext(quick))[0]["data"]["case"])
        assert heard == list(range(QUEUE_LENGTH + 5))
        assert _parse(await anext(slow))[0]["event"] == "refetch"
        for client in (slow, quick):
            await client.aclose()

    asyncio.run(story())


def test_the_line_is_kept_alive_and_ends_with_the_session() -> None:
    async def story() -> None:
        hub, standing = Hub(), [True, False]

        async def stands() -> bool:
            return standing.pop(0)

        client = hub.follow(lambda _: {}, last_id=None, stands=stands, heartbeat_s=0.01)
        parts = [part async for part in client]
        assert parts[0].endswith(b"event: alive\ndata: {}\n\n")
        assert parts[1:] == [b"event: alive\ndata: {}\n\n"]

    asyncio.run(story())


def test_a_busy_line_beats_too_and_ends_with_the_session() -> None:
    async def story() -> None:
        hub, standing = Hub(), [True, False]

        async def stands() -> bool:
            return standing.pop(0)

        client = hub.follow(lambda _: {}, last_id=None, stands=stands, heartbeat_s=0.02)
        parts = []
        async for part in client:
            hub.publish([CASE])
            parts.append(part)
        assert parts.count(b"event: alive\ndata: {}\n\n") == 1
        assert sum(b"event: cases" in part for part in parts) >= 2

    asyncio.run(story())


def test_streams_are_bounded_and_end_when_the_console_stops() -> None:
    async def story() -> None:
        hub = Hub(clients_max=1)
        client = _follow(hub)
        await anext(client)
        with pytest.raises(TooManyClientsError):
            await anext(_follow(hub))
        waiting = asyncio.ensure_future(anext(client, None))
        await asyncio.sleep(0)
        hub.stop()
        assert await asyncio.wait_for(waiting, 5) is None
        hub = Hub(clients_max=1)
        again = _follow(hub)
        await anext(again)
        await again.aclose()
        other = _follow(hub)
        await anext(other)
        await other.aclose()

    asyncio.run(story())
