"""``python -m tests.kills``: rounds or minutes enter; the table of all kills leaves, and 1 where anything was lost."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import psycopg

from kaimen.schema import migrate
from tests.fix_database import DatabaseServer
from tests.fix_servers import postgres_server
from tests.kills import ingest_matrix
from tests.kills.crowd import kill_in_the_crowd
from tests.kills.killing import POINTS, format_table, killing
from tests.kills.whole import Results, kill_everywhere
from tests.unit.alerts.town import build_town


def main() -> int:
    if sys.argv[1:2] == ["ingest"]:
        return _kill_ingest(sys.argv[2:])
    parser = argparse.ArgumentParser(prog="python -m tests.kills", description=__doc__)
    parser.add_argument("--rounds", type=int, default=100, help="kills at each place")
    parser.add_argument("--place", action="append", choices=POINTS, help="only this one; may be repeated")
    parser.add_argument("--minutes", type=float, default=0, help="instead: random kills under many cases")
    parser.add_argument("--cases", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with postgres_server() as server, tempfile.TemporaryDirectory() as scratch:
        with psycopg.connect(server.admin_url, autocommit=True) as connection:
            connection.execute("CREATE DATABASE kaimen")
        url = server.url("kaimen")
        migrate(url)
        with build_town(url) as town:
            if asked.minutes:
                tally = kill_in_the_crowd(
                    town, Path(scratch), many=asked.cases, seconds=asked.minutes * 60, seed=asked.seed
                )
                print(tally)
                return int(bool(tally.lost or tally.unplanned or tally.beyond or tally.unfinished))
            results = []
            with killing(town, Path(scratch)) as made:
                for place in asked.place or POINTS:
                    begun = time.monotonic()
                    results.append(made.kill_at(place, asked.rounds))
                    took = time.monotonic() - begun
                    print(
                        f"{place}: {took:.0f} s",
                        *results[-1].different[:5],
                        sep="\n  ",
                        file=sys.stderr,
                        flush=True,
                    )
            print(format_table(results))
            return int(not all(found.good for found in results))


def _kill_ingest(arguments: list[str]) -> int:
    """``python -m tests.kills ingest --runs 100``: ingest and the edge, at each of their places."""
    parser = argparse.ArgumentParser(prog="python -m tests.kills ingest", description=_kill_ingest.__doc__)
    parser.add_argument("--runs", type=int, default=100, help="kills at each place [100]")
    parser.add_argument("--place", action="append", choices=ingest_matrix.POINTS, help="only this one")
    parser.add_argument("--streets", type=int, default=2, help="streets that live side by side [2]")
    parser.add_argument(
        "--results", type=Path, help="keep what each street found here; a stopped run goes on from it"
    )
    asked = parser.parse_args(arguments)
    results = Results(asked.place or ingest_matrix.POINTS, asked.results)
    with postgres_server() as server, tempfile.TemporaryDirectory() as scratch:
        is_whole = kill_everywhere(
            DatabaseServer("plain", server.admin_url), Path(scratch), results,
            kills=asked.runs, side_by_side=asked.streets,
        )  # fmt: skip
    print(ingest_matrix.format_table(list(results.found.values())))
    if not is_whole:
        print("stopped; the same command goes on where results were kept", file=sys.stderr)
        return 3
    return int(not all(found.good for found in results.found.values()))


if __name__ == "__main__":
    sys.exit(main())
