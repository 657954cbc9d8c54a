"""What the edge sends first: what happens now, then what waited, the newest first, at a pace."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from edge.sending import BACKLOG_IN_FLIGHT_MAX, BURST_EVENTS, Lane, SendOrder
from edge.spool import FETCH_MAX, Spool


@pytest.fixture
def spool() -> Iterator[Spool]:
    made = Spool(":memory:", bytes_max=100_000_000, days_max=45)
    yield made
    made.close()


def queue(spool: Spool, first: int, last: int, *, retain: bool = False) -> None:
    with spool.transaction():
        for number in range(first, last + 1):
            spool.append(
                topic=f"k/{'state' if retain else 'evt'}", device="d", boot="b", seq=number, payload=b"%d" % number,
                created_ms=number, joinable=not retain, retain=retain, vital=retain,
            )  # fmt: skip


def sent_all(order: SendOrder, at_s: float, *, in_flight: int = 0) -> list[tuple[Lane, list[int]]]:
    found = []
    while (chosen := order.next(at_s, backlog_in_flight=in_flight)) is not None:
        order.sent(*chosen)
        found.append((chosen[0], [message.seq for message in chosen[1]]))
    return found


def test_nothing_goes_before_there_is_a_connection(spool: Spool) -> None:
    queue(spool, 1, 3)
    assert sent_all(SendOrder(spool, per_s=50), 0.0) == []


def test_what_happens_now_overtakes_a_week_that_waited(spool: Spool) -> None:
    queue(spool, 1, 3 * FETCH_MAX)
    order = SendOrder(spool, per_s=50)
    order.begin(0.0)
    chosen = order.next(0.0, backlog_in_flight=0)
    assert chosen is not None and chosen[0] is Lane.BACKLOG
    assert chosen[1][-1].seq == 3 * FETCH_MAX  # the newest of the week is in the first publication of it
    queue(spool, 3 * FETCH_MAX + 1, 3 * FETCH_MAX + 2)
    chosen = order.next(0.0, backlog_in_flight=0)
    assert chosen is not None and chosen[0] is Lane.LIVE
    assert [message.seq for message in chosen[1]] == [3 * FETCH_MAX + 1, 3 * FETCH_MAX + 2]


def test_everything_that_waited_is_sent_once_newest_first_and_at_its_pace(spool: Spool) -> None:
    count = FETCH_MAX + 700
    queue(spool, 1, count)
    order = SendOrder(spool, per_s=50)
    order.begin(0.0)
    publications: list[list[int]] = []
    at_s, limit_s = 0.0, 10 + count / 50
    while sum(map(len, publications)) < count:
        publications += [numbers for _, numbers in sent_all(order, at_s)]
        assert sum(map(len, publications)) <= BURST_EVENTS + 500 + at_s * 50
        at_s += 1.0
        assert at_s < limit_s
    heads = [numbers[0] for numbers in publications]
    assert heads == sorted(heads, reverse=True)
    assert all(numbers == sorted(numbers) for numbers in publications)
    assert sorted(number for numbers in publications for number in numbers) == list(range(1, count + 1))


def test_the_last_places_in_flight_are_for_what_happens_now(spool: Spool) -> None:
    queue(spool, 1, 5)
    order = SendOrder(spool, per_s=50)
    order.begin(0.0)
    assert sent_all(order, 0.0, in_flight=BACKLOG_IN_FLIGHT_MAX) == []
    queue(spool, 6, 6)
    assert sent_all(order, 0.0, in_flight=BACKLOG_IN_FLIGHT_MAX) == [(Lane.LIVE, [6])]


def test_births_and_last_wills_stay_in_their_order(spool: Spool) -> None:
    for number in range(1, 10, 2):
        queue(spool, number, number)
        queue(spool, number + 1, number + 1, retain=True)
    order = SendOrder(spool, per_s=50)
    order.begin(0.0)
    states = [numbers for lane, numbers in sent_all(order, 0.0) if lane is Lane.STATES]
    assert states == [[2], [4], [6], [8], [10]]


def test_a_new_connection_sends_again_what_was_not_acknowledged(spool: Spool) -> None:
    queue(spool, 1, 4)
    order = SendOrder(spool, per_s=50)
    order.begin(0.0)
    assert sent_all(order, 0.0) == [(Lane.BACKLOG, [1, 2, 3, 4])]
    spool.delete([1, 2])
    order.begin(60.0)
    assert sent_all(order, 60.0) == [(Lane.BACKLOG, [3, 4])]


def events_in(publications: list[tuple[Lane, list[int]]]) -> int:
    return sum(len(seqs) for _, seqs in publications)


def queue_of_many_doors(spool: Spool, count: int) -> None:
    with spool.transaction():
        for number in range(1, count + 1):
            spool.append(
                topic=f"k/{number % 50}/evt", device="d", boot="b", seq=number, payload=b"1", created_ms=number,
            )  # fmt: skip


def test_the_server_slows_what_waited_for_as_long_as_it_said_and_never_what_happens_now(spool: Spool) -> None:
    queue_of_many_doors(spool, 1_500)
    order = SendOrder(spool, per_s=50)
    order.begin(0.0)
    order.obey(2.0, until_s=60.0)
    first = events_in(sent_all(order, 0.0))
    assert first <= 30, "one array of a door, and no burst"
    later = sum(events_in(sent_all(order, float(second))) for second in range(1, 60))
    assert later <= 2 * 60 + 30
    queue(spool, 5_000, 5_003)
    assert sent_all(order, 59.5)[0] == (Lane.LIVE, [5_000, 5_001, 5_002, 5_003])
    assert sum(events_in(sent_all(order, 60.0 + second)) for second in range(20)) >= 50 * 18


def test_the_server_never_makes_an_edge_faster_than_its_own_pace_and_can_let_it_go(spool: Spool) -> None:
    queue_of_many_doors(spool, 1_500)
    order = SendOrder(spool, per_s=5)
    order.begin(0.0)
    order.obey(1_000.0, until_s=60.0)
    sent_all(order, 0.0)
    assert sum(events_in(sent_all(order, float(second))) for second in range(1, 31)) <= 5 * 30 + 60
    order.obey(None, until_s=60.0)
    assert order._pace(31.0)[0] == 5
