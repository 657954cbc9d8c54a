"""What is taken first: an opening of now, or a day of history that came before it."""

from __future__ import annotations

from ingest.admission import Message
from ingest.session.waiting import BATCH_BYTES_MAX, PASSED_OVER_MAX, Delivery, Waiting


def delivery(channel: str, received_ms: int, size: int = 100) -> Delivery:
    return Delivery(Message(f"kaimen/v1/0/0/s/d/{channel}", b"x" * size, received_ms), 1, 1, [received_ms])


def waiting(*deliveries: Delivery) -> Waiting:
    found = Waiting()
    for each in deliveries:
        found.append(each)
    return found


def channels(taken: list[Delivery]) -> list[str]:
    return [each.message.topic.rsplit("/")[-1] for each in taken]


def test_an_opening_goes_before_arrays_that_came_before_it() -> None:
    found = waiting(*(delivery("evb", at, 1_000) for at in range(10)), delivery("evt", 50))
    taken, arrays_bytes, now_ms = found.take(100, 2_500, 60)
    assert channels(taken) == ["evt", "evb", "evb", "evb"]
    assert (arrays_bytes, now_ms) == (3_000, 60)
    assert (len(found), found.bytes) == (7, 7_000)


def test_an_array_counts_as_received_when_it_is_taken() -> None:
    found = waiting(delivery("evb", 5), delivery("evb", 6), delivery("hb", 20))
    taken, _, _ = found.take(100, 1, 60)
    assert [each.message.received_ms for each in taken] == [20, 60]
    assert [each.message.received_ms for each in found.take(100, 1, 70)[0]] == [70]


def test_what_waits_on_holds_the_clock_and_the_arrays_back() -> None:
    found = waiting(*(delivery("evt", at) for at in range(10)), delivery("evb", 5))
    taken, arrays_bytes, now_ms = found.take(3, 1_000, 60)
    assert (channels(taken), arrays_bytes, now_ms) == (["evt"] * 3, 0, 2)


def test_arrays_go_on_beside_single_messages_that_never_end() -> None:
    found = waiting(*(delivery("evt", at) for at in range(100)), delivery("evb", 5))
    batches = [found.take(1, 1_000, 200) for _ in range(PASSED_OVER_MAX + 1)]
    assert [channels(taken) for taken, _, _ in batches] == [["evt"]] * PASSED_OVER_MAX + [["evt", "evb"]]
    taken, _, now_ms = batches[-1]
    # It lies between the pulses before and those to come.
    assert taken[0].message.received_ms <= taken[1].message.received_ms == now_ms


def test_a_batch_is_closed_at_its_bytes_but_never_empty() -> None:
    found = waiting(delivery("evt", 1, BATCH_BYTES_MAX), delivery("evt", 2))
    assert len(found.take(100, 0, 60)[0]) == 1
    assert len(found.take(100, 0, 60)[0]) == 1
    assert found.take(100, 0, 60) == ([], 0, 60)
    assert found.bytes == 0


def test_what_is_forgotten_is_all_gone() -> None:
    found = waiting(delivery("evt", 1), delivery("evb", 2))
    found.clear()
    assert (len(found), found.bytes) == (0, 0)
