"""The benchmarks run, small: they must not rot, and what they time must count right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner

from console.benches import ingest_long
from console.benches.measuring import Peer, Report
from console.benches.mqtt_load import Loader, make_messages
from console.benches.peers import load_peer, temporary_nats
from console.benches.synthesis import year_of_openings
from console.cli import main
from kaimen import wire
from kaimen.clock import FileClock, set_clock

ROW = {"name", "value", "unit", "limit", "ratio_to_limit", "peer", "ratio_to_peer"}


def run(name: str, size: int) -> dict[str, Any]:
    result = CliRunner().invoke(main, ["bench", name, "--size", str(size), "--json"])
    assert result.exit_code == 0, (result.output, result.exception)
    report: dict[str, Any] = json.loads(result.stdout)
    assert {"bench", "rows", "machine"} <= set(report)
    assert report["bench"] == name
    for row in report["rows"]:
        assert set(row) >= ROW
        assert row["value"] > 0 and row["limit"] > 0 and row["ratio_to_peer"] > 0
    return report


def test_decode_runs() -> None:
    assert len(run("decode", 200)["rows"]) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["replay", "detect"])
def test_a_small_run_meets_every_peer_that_is_installed(name: str) -> None:
    report = run(name, 300)
    peers = " ".join(row["peer"] for row in report["rows"])
    left_out = {item["peer"]: item["why"] for item in report["left_out"]}
    for peer in ("numpy", "polars", "duckdb", "PostgreSQL"):
        if peer in left_out:
            assert "pip install" in left_out[peer] or peer == "PostgreSQL"
        else:
            assert peer in peers
    assert "PostgreSQL" not in left_out, left_out


@pytest.mark.slow
def test_a_small_town_is_alerted_and_every_span_and_rate_has_its_limit() -> None:
    report = run("alerts", 20)
    names = [row["name"] for row in report["rows"]]
    for words in ("engine lag, p99, 20 open cases", "crossing row to visible case", "act to commit"):
        assert sum(words in name for name in names) == 1
    spans = [row for row in report["rows"] if row["unit"] == "s"]
    assert [row["limit"] for row in spans] == [2, 1, 0.1]
    assert all(row["ratio_to_limit"] == pytest.approx(row["limit"] / row["value"], rel=0.01) for row in spans)
    for batch, workers, ways in ((1, 1, 1), (100, 1, 1), (100, 4, 2), (500, 4, 1)):
        # Each way beside two peers: one job at a time, and a table that forgets.
        assert sum(f"batch {batch}, {workers} workers" in name for name in names) == 2 * ways


@pytest.mark.slow
def test_a_small_community_is_served_and_every_page_and_list_has_its_figure() -> None:
    report = run("console", 4_000)
    names = " ".join(row["name"] for row in report["rows"])
    for words in (
        "/alarms, p99",
        "/api/cases, p99",
        "nothing changed",
        "every case changed",
        "304",
        "commit to event at 20 viewers",
    ):
        assert words in names, words
    assert {row["limit"] for row in report["rows"] if row["unit"] == "s"} == {0.25, 1}
    assert {row["peer"] for row in report["rows"] if row["unit"].startswith("lists")} == {
        "FastAPI response model, same guard, scope and rows",
        "FastAPI response model, an ordinary guard, same scope and rows",
        "FastAPI response model, nobody asked who asks",
    }


def test_a_span_is_the_better_the_further_it_stays_below_its_limit() -> None:
    report = Report("alerts", quiet=True)
    report.add_span("a span", 0.5, 2.0, [Peer("a commit", 0.1)])
    assert (report.rows[0]["ratio_to_limit"], report.rows[0]["ratio_to_peer"]) == (4.0, 0.2)


def test_a_peer_that_is_not_installed_is_named_with_the_way_to_install_it() -> None:
    report = Report("replay", quiet=True)
    assert load_peer("no_such_peer_anywhere", report) is None
    assert report.left_out == [
        {"peer": "no_such_peer_anywhere", "why": 'not installed: pip install "kaimen[bench]"'}
    ]


def test_ratios_are_above_one_where_ours_is_the_faster() -> None:
    report = Report("replay", quiet=True)
    report.add("a thing", 6.0, "M/s", 12.0, [Peer("slow", 2.0), Peer("fast", 12.0, "on half")], seconds=1.0)
    slow, fast = report.rows
    assert (slow["ratio_to_limit"], slow["ratio_to_peer"], fast["ratio_to_peer"]) == (0.5, 3.0, 0.5)
    assert fast["peer_of"] == "on half" and slow["seconds"] == 1.0


def test_a_year_is_the_same_for_the_same_seed_whatever_the_threads() -> None:
    one, two = (year_of_openings(40, away_one_in=100, threads=threads) for threads in (1, 2))
    assert np.array_equal(one.instants_s, two.instants_s)
    assert one.until_s == two.until_s and one.households == 40
    for household in range(40):
        mine = one.instants_s[one.offsets[household] : one.offsets[household + 1]]
        assert (np.diff(mine.astype(np.int64)) > 0).all() and mine[-1] < one.until_s
    assert one.first(3).households == 3 and len(one.first(3).owners()) == one.offsets[3]


@pytest.mark.slow
@pytest.mark.integration
def test_the_publisher_hears_every_answer_of_a_broker_that_speaks_tls() -> None:
    with temporary_nats(Report("ingest", quiet=True), site_id="bench", secured=True) as broker:
        assert broker is not None and broker.security is not None
        broker.nats.provision_sessions()
        user = broker.user("street")
        loader = Loader(
            broker.port, user=user.name, password=user.password, client_id="bench", security=broker.security
        )
        try:
            messages = make_messages(
                300, 1, devices=[("bench", "door-1")], boot="0" * 16, from_ms=0, until_ms=1_000
            )
            loader.send(loader.encode(messages))  # returns when all are answered for
            assert loader.answered == len(messages) == 300
        finally:
            loader.close()
        with pytest.raises(OSError):  # who speaks without TLS is not let in
            Loader(broker.port, user=user.name, password=user.password, client_id="plain")


@pytest.mark.slow
@pytest.mark.integration
def test_a_small_run_through_broker_and_database_stores_every_event_beside_its_limit_and_peers() -> None:
    report = run("ingest", 1_000)
    names = {row["name"] for row in report["rows"]}
    for per in (1, 10, 100, 500):
        assert f"durable events, {per} a message" in names
    assert sum("publish to commit" in name for name in names) == 2
    assert {row["peer"] for row in report["rows"] if row["name"] == "durable events, 100 a message"} == {
        "paho, one INSERT and commit an event",
        "paho, executemany of 100",
        "paho, COPY write_row of 1,000",
    }
    assert all(
        set(row["cpu_s"]) == {"ingest", "broker", "database", "publisher"}
        for row in report["rows"]
        if row["unit"] == "events/s"
    )


def test_doors_that_speak_for_minutes_say_what_the_wire_says(tmp_path: Path) -> None:
    set_clock(tmp_path / "clock", speed=0, now_ms=1_772_323_200_000)
    doors = ingest_long._Doors(FileClock(tmp_path / "clock"), 3)
    topic, payload = next(doors.rounds())[4]
    assert wire.parse_topic(topic).device_id == "door-5"
    events = [wire.parse_event(msgspec.json.encode(event)) for event in msgspec.json.decode(payload)]
    assert [(event.seq, event.state, event.opens) for event in events] == [
        (1, "Open", 1),
        (2, "Closed", 1),
        (3, "Open", 2),
    ]
    assert [event.ts for event in events] == [1_772_323_199_997 + number for number in range(3)]
    assert {event.ts - event.up for event in events} == {1_772_319_600_000}


def test_the_first_and_the_last_minute_are_those_of_the_course() -> None:
    marks = [(0.0, 0, 1.0), (59.9, 6_000, 1.6), (120.2, 9_000, 2.0), (180.1, 18_000, 2.45)]
    course = ingest_long._Course(marks)
    assert course.rate(0, 60) == pytest.approx((6_000 / 59.9, 100))
    assert course.rate(120, 180) == pytest.approx((9_000 / 59.9, 50))


def test_only_ingest_runs_for_a_duration() -> None:
    for words in (["store", "--duration", "60"], ["ingest", "--duration", "60", "--size", "5"]):
        result = CliRunner().invoke(main, ["bench", *words])
        assert result.exit_code == 2 and "--duration is for ingest" in result.output


@pytest.mark.slow
@pytest.mark.integration
def test_a_small_store_is_measured_beside_other_designs_and_answers_every_query() -> None:
    report = run("store", 12_000)
    designs = {row["peer"] for row in report["rows"] if row["unit"] == "rows/s"}
    assert "staging and ON CONFLICT with a unique key" in designs and len(designs) == 5
    grown = [row["name"] for row in report["rows"] if "day that is written to" in row["name"]]
    assert len(grown) == 2 and "as of 12,000 events in 30 days (plain)" in grown[1]
    years = next(row for row in report["rows"] if row["unit"] == "years")
    assert years["value"] >= 1, "ten megabytes hold more than a household's year"
    spans = [row for row in report["rows"] if row["unit"] == "s"]
    assert len(spans) == 6 and {row["limit"] for row in spans} == {0.01}
