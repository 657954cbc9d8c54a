"""The office's books go in by `kaimen import`: all of them or nothing, and the same ones again change nothing."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, LiteralString, cast

import psycopg
import pytest
from click.testing import CliRunner, Result

from console.audit.chain import verify
from console.books.rows import BOOKS
from console.cli import main
from ingest.rows.book import load_book
from kaimen.database import connect
from tests.fix_database import DatabaseServer, _fresh_name

pytestmark = [pytest.mark.slow, pytest.mark.one_store]

KEY = b"a key of a test"
NAME = "王秀英"
PHONE = "13812341234"

BOOK_LINES: dict[str, list[str]] = {
    "communities": ["id,name,zone", "garden,花园社区,Asia/Shanghai"],
    "sites": ["id,community_id,name", "site,garden,花园小区"],
    "devices": [
        "id,site_id,kind,model,place,gateway_id,heartbeat_s,supervision_s",
        "z-1201,site,contact,SNZB-04,3-1-1201,edge,3600,10800",  # before its gateway on purpose
        "edge,site,gateway,,值班室,,,",
        "unit-3-1,site,controller,,3-1 单元门,edge,,",
        "m-1201,site,motion,,3-1-1201,edge,,",
    ],
    "households": [
        "id,site_id,label,building,unit,floor,room,grid,tenure,policy_id,watched_from",
        "h-1201,site,3-1-1201,3,1,12,1201,1,,,2025-11-01T00:00:00+08:00",
        "h-1202,site,3-1-1202,3,1,12,1202,1,rented,,",
    ],
    "buildings": ["site_id,name,x_m,y_m,width_m,depth_m,turn_deg", "site,3,120,-40,62,,15"],
    "household_doors": [
        "household_id,device_id,role,from_at,to_at",
        "h-1201,z-1201,dwelling,,",
        "h-1201,unit-3-1,shared,,",
        "h-1202,unit-3-1,shared,,",
    ],
    "persons": [
        "id,household_id,relation,category,birth_year,hard_of_hearing,language,name,phone",
        f"p-1,h-1201,resident,living_alone,1944,true,zh,{NAME},{PHONE}",
        "p-2,,family,,,,,王小明,+86 139 0000 1111",
    ],
    "contacts": ["household_id,person_id,role,position,relation_words", "h-1201,p-2,family,1,儿子"],
    "credentials": [
        "token,class,household_id,person_id,valid_from,valid_to",
        "c_7Qm2,resident,h-1201,p-1,,",
        "c_guard,guard,,,,",
    ],
    "consents": [
        "household_id,purpose,given_by,given_at,withdrawn_at",
        "h-1201,watch,本人,2025-11-01T09:00:00+08:00,",
    ],
    "absences": [
        "household_id,from_at,to_at,reason,declared_by,declared_at",
        "h-1201,2025-11-05T00:00:00+08:00,2025-11-09T00:00:00+08:00,relatives,本人,2025-11-04T00:00:00+08:00",
    ],
    "leases": [
        "id,household_id,from_at,to_at,occupants,registration",
        "l-1,h-1202,2025-01-01T00:00:00+08:00,2026-01-01T00:00:00+08:00,2,R-0017",
    ],
}
ROWS = sum(len(lines) - 1 for lines in BOOK_LINES.values())


def write_folder(folder: Path, **changed: list[str] | bytes) -> Path:
    """Write the books as CSV, some of them otherwise."""
    folder.mkdir(exist_ok=True)
    for name, lines in {**BOOK_LINES, **changed}.items():
        data = lines if isinstance(lines, bytes) else ("\r\n".join(lines) + "\r\n").encode()
        (folder / f"{name}.csv").write_bytes(data)
    return folder


def as_document(books: dict[str, list[str]]) -> dict[str, Any]:
    def cells(header: str, line: str) -> dict[str, Any]:
        pairs = zip(header.split(","), line.split(","), strict=True)
        return {column: cell or None for column, cell in pairs}

    return {name: [cells(lines[0], line) for line in lines[1:]] for name, lines in books.items()}


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "console.key"
    path.write_bytes(KEY + b"\n")
    return path


@pytest.fixture
def run(database_url: str, key_file: Path) -> Callable[..., Result]:
    """Run `kaimen import` on the test's own database."""
    return lambda *words, **more: run_import(database_url, key_file, *words, **more)


def run_import(url: str, key_file: Path, *words: object, **more: Any) -> Result:
    options = ["--database-url", url, "--audit-key-file", str(key_file)]
    # The terminal of whoever runs the tests does not choose the language.
    more.setdefault("env", {"LC_ALL": "C.UTF-8"})
    result = CliRunner().invoke(main, ["import", *options, *map(str, words)], **more)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def read(url: str, statement: str, *values: object) -> list[dict[str, Any]]:
    with connect(url, service="test") as connection:
        return connection.execute(cast(LiteralString, statement), values).fetchall()


def write(url: str, statement: str, *values: object) -> None:
    with connect(url, service="test") as connection:
        connection.execute(cast(LiteralString, statement), values)


def count_all(url: str) -> int:
    tables = [
        "installation", "communities", "sites", "buildings", "devices", "households", "household_doors", "persons",
        "person_identities", "household_contacts", "credentials", "consents", "absences", "leases",
        "audit_entries", "registry_changes",
    ]  # fmt: skip
    parts = " UNION ALL ".join(f"SELECT count(*) AS count FROM {table}" for table in tables)
    return int(read(url, f"SELECT sum(count) AS count FROM ({parts}) counted")[0]["count"])


def report_of(result: Result) -> dict[str, Any]:
    return cast(dict[str, Any], json.loads(result.stdout))


def test_a_folder_of_books_goes_in_and_ingest_watches_the_door(
    database_url: str, run: Callable[..., Result], tmp_path: Path
) -> None:
    result = run(write_folder(tmp_path / "books"), "--json")
    assert result.exit_code == 0, result.output
    tables = report_of(result)["tables"]
    assert {table["ended"] for table in tables.values()} == {0}, (
        "a lease that is new with its end has not ended"
    )
    assert {name: table["new"] for name, table in tables.items()} == {
        name: len(lines) - 1 for name, lines in BOOK_LINES.items()
    }
    now_ms = int(datetime(2025, 12, 1, tzinfo=UTC).timestamp() * 1000)
    with connect(database_url, service="test", autocommit=True) as connection:
        registry = load_book(connection, now_ms=now_ms).registry
    home = registry.households["h-1201"]
    assert home.consent and {(door.device_id, door.role.value) for door in home.doors} == {
        ("z-1201", "dwelling"), ("unit-3-1", "shared"),
    }  # fmt: skip
    assert registry.devices["z-1201"].supervision_ms == 10_800_000
    assert registry.credentials["c_7Qm2"].household_id == "h-1201"
    (person,) = read(database_url, "SELECT * FROM person_identities WHERE person_id = 'p-1'")
    assert (person["name"], person["phone"]) == (NAME, PHONE)
    assert read(database_url, "SELECT kind FROM installation") == [{"kind": "production"}]


def test_a_running_ingest_is_told_of_every_row_it_must_take_over(
    database_url: str, run: Callable[..., Result], tmp_path: Path
) -> None:
    with connect(database_url, service="test", autocommit=True) as listener:
        listener.execute("LISTEN kaimen_registry")
        assert run(write_folder(tmp_path / "books")).exit_code == 0
        assert [note.channel for note in listener.notifies(timeout=5, stop_after=1)] == ["kaimen_registry"]
    changes = read(database_url, "SELECT household_id, device_id FROM registry_changes")
    of_registry = (
        "devices",
        "households",
        "household_doors",
        "credentials",
        "consents",
        "absences",
        "leases",
        "persons",
    )
    assert len(changes) == sum(len(BOOK_LINES[name]) - 1 for name in of_registry)
    assert {"h-1201", "h-1202"} <= {row["household_id"] for row in changes}


def test_one_json_document_does_what_the_folder_does(
    database_url: str, run: Callable[..., Result], tmp_path: Path
) -> None:
    document = tmp_path / "books.json"
    document.write_text(json.dumps(as_document(BOOK_LINES), ensure_ascii=False), encoding="utf-8")
    assert run(document).exit_code == 0
    again = report_of(run(write_folder(tmp_path / "books"), "--json"))
    assert sum(table["same"] for table in again["tables"].values()) == ROWS
    (entry,) = read(database_url, "SELECT object_id FROM audit_entries WHERE action = 'imported'")
    assert entry["object_id"] == hashlib.sha256(document.read_bytes()).hexdigest()


def test_a_document_comes_in_on_standard_input(database_url: str, run: Callable[..., Result]) -> None:
    assert run("-", input=json.dumps(as_document(BOOK_LINES))).exit_code == 0
    assert len(read(database_url, "SELECT 1 FROM persons")) == 2


def test_the_same_books_again_change_nothing_at_all(
    database_url: str, run: Callable[..., Result], tmp_path: Path
) -> None:
    folder = write_folder(tmp_path / "books")
    assert run(folder).exit_code == 0
    before = count_all(database_url)
    stamps = read(database_url, "SELECT id, xmin::text FROM devices ORDER BY id")
    report = report_of(run(folder, "--json"))
    assert {(t["new"], t["changed"], t["missing"]) for t in report["tables"].values()} == {(0, 0, 0)}
    assert count_all(database_url) == before
    assert read(database_url, "SELECT id, xmin::text FROM devices ORDER BY id") == stamps


def test_a_change_changes_that_row_leaves_one_entry_and_keeps_what_is_not_said(
    database_url: str, run: Callable[..., Result], key_file: Path, tmp_path: Path
) -> None:
    folder = write_folder(tmp_path / "books")
    assert run(folder).exit_code == 0
    entries = read(database_url, "SELECT * FROM audit_entries")
    changes = len(read(database_url, "SELECT 1 FROM registry_changes"))
    lines = ["id,site_id,label,building,unit,floor,room,grid", "h-1201,site,3-1-1201,3,1,12,1201,7"]
    other = tmp_path / "households.csv"
    other.write_text("\n".join(lines), encoding="utf-8-sig")
    table = report_of(run(other, "--json"))["tables"]["households"]
    assert (table["new"], table["changed"], table["same"], table["missing_keys"]) == (0, 1, 0, ["h-1202"])
    (home,) = read(database_url, "SELECT grid, watched_from FROM households WHERE id = 'h-1201'")
    assert home == {"grid": "7", "watched_from": datetime(2025, 10, 31, 16, tzinfo=UTC)}
    assert len(read(database_url, "SELECT 1 FROM households")) == 2, "nothing is deleted"
    assert len(read(database_url, "SELECT 1 FROM registry_changes")) == changes + 1
    (new,) = read(
        database_url, "SELECT * FROM audit_entries WHERE id > %s", max(row["id"] for row in entries)
    )
    assert (new["actor"], new["object_kind"]) == ("import", "import")
    assert new["detail"]["households"] == ["h-1201"] and new["detail"]["community"] == "garden"
    with connect(database_url, service="test") as connection:
        assert verify(connection, key=KEY).sound
        assert not verify(connection, key=b"").sound


def test_every_column_of_every_book_can_be_changed(
    database_url: str, run: Callable[..., Result], tmp_path: Path
) -> None:
    assert run(write_folder(tmp_path / "books")).exit_code == 0
    changed = {
        "communities": ["id,name,zone,commissioning_s", "garden,园,Asia/Urumqi,86400"],
        "sites": ["id,community_id,name", "site,garden,园"],
        "buildings": ["site_id,name,x_m,y_m,width_m,depth_m,turn_deg", "site,3,121,-41,63,15,-15"],
        "devices": [
            "id,site_id,kind,model,place,gateway_id,heartbeat_s,supervision_s,registered_at,retired_at",
            "new-gw,site,gateway,,,,,,,",
            "z-1201,site,controller,x,-,new-gw,60,180,2025-01-01T00:00Z,2030-01-01T00:00Z",
            "unit-3-1,site,controller,,,-,,,,",
        ],
        "households": [
            "id,site_id,label,building,unit,floor,room,grid,tenure,policy_id,watched_from",
            "h-1201,site,4-2-0101,4,2,-1,0101,2,collective,,-",
        ],
        "household_doors": [
            "household_id,device_id,role,from_at,to_at", "h-1201,z-1201,shared,,2026-01-01T00:00:00+08:00",
        ],
        "persons": [
            "id,household_id,relation,category,birth_year,hard_of_hearing,language,name,phone",
            "p-1,h-1202,resident,-,1945,false,en,王英,-",
        ],
        "contacts": [
            "household_id,person_id,role,position,relation_words,available_from,available_until,answer_within_s",
            "h-1201,p-2,family,2,侄子,18:00,07:30,600",
        ],
        "credentials": [
            "token,class,household_id,person_id,valid_from,valid_to",
            "c_7Qm2,family,h-1202,p-2,2025-01-01T00:00Z,2026-01-01T00:00Z",
        ],
        "consents": [
            "household_id,purpose,given_by,given_at,withdrawn_at",
            "h-1201,watch,女儿,2025-11-01T01:00:00Z,2025-11-02T09:00:00+08:00",
            "h-1201,watch,女儿,2025-11-02T10:00:00+08:00,",
        ],
        "absences": [
            "household_id,from_at,to_at,reason,declared_by,declared_at,revoked_at",
            "h-1201,2025-11-04T16:00:00Z,2025-11-08T16:00:00Z,travel,女儿,2025-11-03T00:00Z,2025-11-06T00:00Z",
        ],
        "leases": [
            "id,household_id,from_at,to_at,occupants,registration,recorded_at",
            "l-1,h-1201,2025-02-01T00:00Z,-,3,-,2025-02-02T00:00Z",
        ],
    }  # fmt: skip
    report = report_of(run(write_folder(tmp_path / "changed", **changed), "--json"))  # type: ignore[arg-type]
    counts = {name: (t["changed"], t["new"]) for name, t in report["tables"].items()}
    assert counts == dict.fromkeys(BOOKS, (1, 0)) | {"devices": (2, 1), "consents": (1, 1)}
    again = report_of(run(tmp_path / "changed", "--json"))
    assert all(t["changed"] == t["new"] == 0 for t in again["tables"].values())
    (device,) = read(database_url, "SELECT place, gateway_id, kind FROM devices WHERE id = 'z-1201'")
    assert device == {"place": "", "gateway_id": "new-gw", "kind": "controller"}
    (person,) = read(database_url, "SELECT name, phone FROM person_identities WHERE person_id = 'p-1'")
    assert person == {"name": "王英", "phone": None}
    assert report["not_watched"] == ["h-1201"]


def test_a_consent_that_ended_in_the_console_stays_ended_whatever_an_old_file_says(
    database_url: str, run: Callable[..., Result], tmp_path: Path
) -> None:
    folder = write_folder(tmp_path / "books")
    assert run(folder).exit_code == 0
    ended = datetime(2025, 11, 20, tzinfo=UTC)
    write(database_url, "UPDATE consents SET withdrawn_at = %s", ended)
    report = report_of(run(folder, "--json"))
    assert [item["column"] for item in report["ends_that_stand"]] == ["withdrawn_at"]
    assert read(database_url, "SELECT withdrawn_at FROM consents") == [{"withdrawn_at": ended}]
    # Nor by a spreadsheet that cut the time a little.
    lines = [BOOK_LINES["consents"][0], "h-1201,watch,本人,2025-11-01T08:59+08:00,"]
    refused = run(write_folder(tmp_path / "cut", consents=lines))
    assert (
        refused.exit_code == 1 and "consents.csv:2:given_at: cell D2 is before a withdrawal" in refused.stderr
    )
    lines[1] = "h-1201,watch,本人,2025-11-21T08:59+08:00,"
    assert run(write_folder(tmp_path / "anew", consents=lines)).exit_code == 0
    assert len(read(database_url, "SELECT 1 FROM consents WHERE withdrawn_at IS NULL")) == 1


def test_a_dry_run_counts_and_writes_nothing(
    database_url: str, run: Callable[..., Result], tmp_path: Path
) -> None:
    report = report_of(run(write_folder(tmp_path / "books"), "--dry-run", "--json"))
    assert report["written"] is False and report["tables"]["persons"]["new"] == 2
    assert count_all(database_url) == 0
    assert "nothing was written" in run(tmp_path / "books", "--dry-run").stdout
    chinese = run(tmp_path / "books", "--dry-run", env={"LC_ALL": "zh_CN.UTF-8"}).stdout
    assert "新增（人员）：p-1、p-2" in chinese and chinese.splitlines()[-1].startswith("这是试运行")


def test_one_wrong_row_keeps_everything_out_and_every_fault_is_told(
    database_url: str, run: Callable[..., Result], tmp_path: Path
) -> None:
    persons = [*BOOK_LINES["persons"], "p-3,h-9,resident,,77,,,赵某,", "p-3,,neighbour,,,,,,"]
    consents = [BOOK_LINES["consents"][0], "h-1201,watch,本人,2025-11-01T09:00,"]
    sites = BOOK_LINES["sites"][0].encode() + "\nsite,garden,花园".encode("gb18030") + b"\n"
    result = run(write_folder(tmp_path / "books", persons=persons, consents=consents, sites=sites))
    assert result.exit_code == 1 and result.stdout == ""
    places = {":".join(line.split(":")[:3]) for line in result.stderr.splitlines()}
    assert places == {
        "persons.csv:4:birth_year", "persons.csv:5:relation", "consents.csv:2:given_at", "sites.csv:2:*",
        "4 faults; nothing was written",
    }  # fmt: skip
    assert count_all(database_url) == 0
    report = report_of(run(tmp_path / "books", "--json"))
    assert report["error_count"] == len(report["errors"]) == 4 and report["written"] is False


def test_a_demo_takes_no_real_people(database_url: str, run: Callable[..., Result], tmp_path: Path) -> None:
    write(database_url, "INSERT INTO installation VALUES (true, 'demo', '2025-01-01Z')")
    result = run(write_folder(tmp_path / "books"))
    assert result.exit_code == 1 and "demo" in result.stderr
    assert "这是演示系统" in run(tmp_path / "books", "--lang", "zh").stderr
    assert read(database_url, "SELECT 1 FROM persons") == []


def test_another_key_than_the_chains_is_refused_before_anything_is_written(
    database_url: str, run: Callable[..., Result], tmp_path: Path
) -> None:
    assert run(write_folder(tmp_path / "books")).exit_code == 0
    other = tmp_path / "other.key"
    other.write_text("another")
    persons = [*BOOK_LINES["persons"], "p-3,,staff,,,,,,"]
    result = run_import(database_url, other, write_folder(tmp_path / "more", persons=persons))
    assert result.exit_code == 1 and "audit chain" in result.stderr
    assert len(read(database_url, "SELECT 1 FROM persons")) == 2


def test_a_database_without_our_tables_is_told_apart(
    empty_database_url: str, key_file: Path, tmp_path: Path
) -> None:
    result = run_import(empty_database_url, key_file, write_folder(tmp_path / "books"))
    assert result.exit_code == 1 and "kaimen db migrate" in result.stderr
    result = run_import(empty_database_url, key_file, tmp_path / "books", "--lang", "zh")
    assert result.exit_code == 1 and "请先运行 kaimen db migrate" in result.stderr


def test_nobodys_data_is_in_what_is_said(
    database_url: str, run: Callable[..., Result], tmp_path: Path
) -> None:
    good = run(write_folder(tmp_path / "books"))
    # A row without its header, columns that slipped, a telephone where a key belongs.
    persons = [BOOK_LINES["persons"][1], f"{PHONE},h-1201,{NAME},,{PHONE},{NAME},{NAME},{NAME},{NAME}"]
    slipped = [BOOK_LINES["persons"][0], persons[1], f"p-9,{NAME},resident,,,,,{NAME},{NAME}"]
    without_header = run(write_folder(tmp_path / "headless", persons=persons))
    wrong = run(write_folder(tmp_path / "slipped", persons=slipped), "--json")
    assert (good.exit_code, without_header.exit_code, wrong.exit_code) == (0, 1, 1)
    entries = str(read(database_url, "SELECT * FROM audit_entries"))
    for said in (good.output, without_header.output, wrong.output, entries):
        assert NAME not in said and PHONE not in said and "王" not in said
    columns = {error["column"] for error in report_of(wrong)["errors"]}
    assert columns == {"id", "relation", "birth_year", "hard_of_hearing", "language", "phone", "household_id"}


def test_other_communities_are_not_called_missing(
    database_url: str, run: Callable[..., Result], tmp_path: Path
) -> None:
    assert run(write_folder(tmp_path / "books")).exit_code == 0
    other = {
        "communities": ["id,name", "river,滨河苑"],
        "sites": ["id,community_id,name", "river-1,river,滨河苑"],
        "devices": ["id,site_id,kind", "r-1,river-1,contact"],
    }
    document = tmp_path / "river.json"
    document.write_text(json.dumps(as_document(other)), encoding="utf-8")
    report = report_of(run(document, "--json"))
    assert {name: (t["new"], t["missing"]) for name, t in report["tables"].items()} == dict.fromkeys(
        other, (1, 0)
    )


def test_a_second_offices_file_does_not_take_the_firsts_homes_and_people(
    database_url: str, run: Callable[..., Result], tmp_path: Path
) -> None:
    assert run(write_folder(tmp_path / "books")).exit_code == 0
    before = read(database_url, "SELECT name FROM person_identities ORDER BY 1")
    second = {
        "communities": ["id,name", "river,滨河苑"],
        "sites": ["id,community_id,name", "river-1,river,滨河苑"],
        "devices": ["id,site_id,kind", "m-1201,river-1,motion"],
        "households": ["id,site_id,label,building,unit,floor,room", "h-1202,river-1,1,1,1,1,1"],
        "persons": [
            "id,household_id,relation,name",
            "p-1,h-1202,resident,赵某",
            "p-2,,family,钱某",
            "p-3,,family,孙某",
        ],
        "credentials": ["token,class,household_id", "c_7Qm2,resident,h-1202", "c_new,resident,h-1202"],
    }
    document = tmp_path / "river.json"
    document.write_text(json.dumps(as_document(second)), encoding="utf-8")
    told = report_of(run(document, "--json"))["errors"]
    assert {(fault["table"], fault["row"]) for fault in told if "another community's" in fault["what"]} == {
        ("devices", 1), ("households", 1), ("persons", 1), ("persons", 2), ("credentials", 1),
    }  # fmt: skip
    assert read(database_url, "SELECT name FROM person_identities ORDER BY 1") == before
    assert read(database_url, "SELECT 1 FROM sites WHERE id = 'river-1'") == []
    # A file that names the first one's home by its id is refused where its community was named.
    absences = ["household_id,from_at,to_at,reason,declared_by", "h-1201,2026-01-01,2026-01-09,住院,本人"]
    (tmp_path / "外出.csv").write_text("\n".join(absences), encoding="utf-8")
    (fault,) = report_of(run(tmp_path / "外出.csv", "--community", "river", "--json"))["errors"]
    assert fault["column"] == "household_id" and "another community than the one named" in fault["what"]
    assert run(tmp_path / "外出.csv", "--community", "garden").exit_code == 0


def test_the_watch_over_half_a_community_ends_only_by_an_explicit_word(
    database_url: str, run: Callable[..., Result], tmp_path: Path
) -> None:
    numbers = range(1, 7)
    homes = [f"h-{n},site,{n},1,1,1,{n},,,,2025-11-01" for n in numbers]
    given = [f"h-{n},看护,本人,2025-11-01," for n in numbers]
    first = {
        "devices": [DEVICES[0], *(f"d-{n},site,contact,,,,," for n in numbers)],
        "households": [HOMES[0], *homes],
        "household_doors": [DOORS[0], *(f"h-{n},d-{n},入户门,," for n in numbers)],
        "consents": [BOOK_LINES["consents"][0], *given],
    }
    books = {name: first.get(name, lines[:1]) for name, lines in BOOK_LINES.items()}
    books |= {name: BOOK_LINES[name] for name in ("communities", "sites")}
    folder = write_folder(tmp_path / "books", **books)  # type: ignore[arg-type]
    assert run(folder).exit_code == 0
    withdrawn = [line + "2025-12-01" for line in given[:3]]
    (tmp_path / "short").mkdir()
    short = tmp_path / "short" / "consents.csv"
    short.write_text("\n".join([BOOK_LINES["consents"][0], *withdrawn]), encoding="utf-8")
    refused = run(short)
    assert refused.exit_code == 1 and "3 of the 6 watched homes of garden" in refused.stderr
    assert read(database_url, "SELECT 1 FROM consents WHERE withdrawn_at IS NOT NULL") == []
    shown = run(short, "--end-homes", "--dry-run").stdout
    assert "consents.csv:2: changes withdrawn_at" in shown and "3        0        3        3" in shown
    assert run(short, "--end-homes").exit_code == 0
    assert len(read(database_url, "SELECT 1 FROM consents WHERE withdrawn_at IS NOT NULL")) == 3
    # What a file leaves out never ends anything, however short it is.
    (folder / "consents.csv").write_text("\n".join([BOOK_LINES["consents"][0], given[5]]), encoding="utf-8")
    assert run(folder).exit_code == 0
    assert len(read(database_url, "SELECT 1 FROM consents WHERE withdrawn_at IS NULL")) == 3


# Wrong rows: nothing is written, so one database serves them all --------------------------------------------------


@pytest.fixture(scope="module")
def standing_url(database_server: DatabaseServer, _database_template: str) -> Iterator[str]:
    name = _fresh_name("import")
    url = database_server.create(name, _database_template)
    yield url
    database_server.drop(name)


HOMES = BOOK_LINES["households"]
DEVICES = BOOK_LINES["devices"]
DOORS = BOOK_LINES["household_doors"]
LATER = (datetime.now(UTC) + timedelta(days=400)).isoformat(timespec="seconds")
WRONG_ROWS: list[tuple[str, str, list[str], str, str]] = [
    # what is wrong, book, its lines, row:column, part of the words
    ("an id in capitals", "sites", [BOOK_LINES["sites"][0], "Site,garden,x"], "2:id", "form"),
    ("an id with a space", "communities", ["id,name", "gar den,x"], "2:id", "form"),
    ("an id that is too long", "devices", [*DEVICES, f"{'d' * 65},site,contact,,,,,"], "6:id", "form"),
    ("a citizen's number as id", "persons", ["id,relation", "11010119440307001X,staff"], "2:id", "citizen"),
    ("a telephone as token", "credentials", ["token,class", "13812341234,guard"], "2:token", "telephone"),
    ("no name", "communities", ["id,name", "garden,"], "2:name", "missing"),
    ("an unknown zone", "communities", ["id,name,zone", "garden,x,Asia/Peking"], "2:zone", "zone"),
    ("an unknown kind", "devices", [*DEVICES, "d-1,site,camera,,,,,"], "6:kind", "'controller'"),
    ("an unknown tenure", "households", [*HOMES, "h-3,site,x,3,1,1,1,,borrowed,,"], "4:tenure", "'owner'"),
    ("an unknown relation", "persons", ["id,relation", "p-1,aunt"], "2:relation", "'resident'"),
    ("an unknown class", "credentials", ["token,class", "c,thief"], "2:class", "'guard'"),
    ("an unknown purpose", "consents", [BOOK_LINES["consents"][0], "h-1201,fun,x,2025-01-01T00:00Z,"],
     "2:purpose", "'watch'"),
    ("an unknown reason", "absences", [BOOK_LINES["absences"][0],
     "h-1201,2025-01-01T00:00Z,2025-01-02T00:00Z,flight,x,"], "2:reason", "'travel'"),
    ("an unknown language", "persons", ["id,relation,language", "p-1,staff,fr"], "2:language", "'zh'"),
    ("a floor in words", "households", [*HOMES, "h-3,site,x,3,1,十二,1,,,,"], "4:floor", "whole number"),
    ("a floor in the sky", "households", [*HOMES, "h-3,site,x,3,1,1200,1,,,,"], "4:floor", "range"),
    ("a birth year of two digits", "persons", ["id,relation,birth_year", "p-1,staff,44"], "2:birth_year", "range"),
    ("a telephone a sheet destroyed", "persons", ["id,relation,name,phone", "p-1,staff,x,1.38E+10"],
     "2:phone", "form"),
    ("neither true nor false", "persons", ["id,relation,hard_of_hearing", "p-1,staff,2"],
     "2:hard_of_hearing", "true or false (是, 否)"),
    ("position zero", "contacts", ["household_id,person_id,role,position", "h-1201,p-1,family,0"],
     "2:position", "range"),
    ("an hour there is not", "contacts", ["household_id,person_id,role,position,available_from,available_until",
     "h-1201,p-1,family,1,25:00,07:00"], "2:available_from", "time of a day"),
    ("hours by half", "contacts", ["household_id,person_id,role,position,available_from", "h-1201,p-1,family,1,07:30"],
     "2:available_from", "both"),
    ("an answer within a second", "contacts", ["household_id,person_id,role,position,answer_within_s",
     "h-1201,p-1,family,1,1"], "2:answer_within_s", "range"),
    ("a time without a zone", "households", [*HOMES, "h-3,site,x,3,1,1,1,,,,2025-11-01T00:00:00"],
     "4:watched_from", "zone"),
    ("a day without a year", "households", [*HOMES, "h-3,site,x,3,1,1,1,,,,11月1日"], "4:watched_from", "year"),
    ("a citizen's number in words", "leases", [BOOK_LINES["leases"][0],
     "l-1,h-1202,2026-01-01T00:00Z,,2,证11010119440307001X"], "2:registration", "never kept; leave it out"),
    ("a door that may be either", "household_doors", [DOORS[0], "h-1201,z-1201,大门,,"], "2:role", "'shared' (单元门)"),
    ("seconds since 1970", "households", [*HOMES, "h-3,site,x,3,1,1,1,,,,1762000000"], "4:watched_from", "zone"),
    ("a day there is not", "households", [*HOMES, "h-3,site,x,3,1,1,1,,,,2025-02-30T00:00Z"],
     "4:watched_from", "no time there is"),
    ("a year of another age", "households", [*HOMES, "h-3,site,x,3,1,1,1,,,,0025-02-03T00:00Z"],
     "4:watched_from", "years"),
    ("no such community", "sites", ["id,community_id,name", "site,meadow,x"], "2:community_id", "communities"),
    ("no such site", "households", [*HOMES, "h-3,site-9,x,3,1,1,1,,,,"], "4:site_id", "sites"),
    ("no such gateway", "devices", [*DEVICES, "d-1,site,contact,,,gw-9,,"], "6:gateway_id", "devices"),
    ("no such household", "household_doors", [DOORS[0], "h-9,z-1201,dwelling,,"], "2:household_id", "households"),
    ("no such device", "household_doors", [DOORS[0], "h-1201,z-9,dwelling,,"], "2:device_id", "devices"),
    ("no such person", "contacts", ["household_id,person_id,role,position", "h-1201,p-9,family,1"],
     "2:person_id", "persons"),
    ("no such policy", "households", [*HOMES, "h-3,site,x,3,1,1,1,,,hasty,"], "4:policy_id", "policy"),
    ("a door as gateway", "devices", [*DEVICES, "d-1,site,contact,,,z-1201,,"], "6:gateway_id", "no gateway"),
    ("its own gateway", "devices", [*DEVICES, "d-1,site,gateway,,,d-1,,"], "6:gateway_id", "itself"),
    ("a gateway behind a gateway", "devices", [*DEVICES, "g-2,site,gateway,,,edge,,"], "6:gateway_id", "behind"),
    ("deaf between heartbeats", "devices", [*DEVICES, "d-1,site,contact,,,edge,3600,180"],
     "6:supervision_s", "heartbeat_s"),
    ("no heartbeat", "devices", [*DEVICES, "d-1,site,contact,,,edge,0,180"], "6:heartbeat_s", "range"),
    ("a motion sensor as door", "household_doors", [*DOORS, "h-1202,m-1201,dwelling,,"], "5:device_id", "door"),
    ("a label twice", "households", [*HOMES, "h-3,site,3-1-1201,3,1,1,1,,,,"], "4:label", "household h-1201"),
    ("a row twice", "households", [*HOMES, HOMES[1]], "4:id", "row 2"),
    ("a door that ends before it begins", "household_doors",
     [DOORS[0], "h-1201,z-1201,dwelling,2025-02-01T00:00Z,2025-01-01T00:00Z"], "2:to_at", "from_at"),
    ("windows of a door that overlap", "household_doors",
     [DOORS[0], "h-1201,z-1201,dwelling,,2025-03-01T00:00Z", "h-1201,z-1201,dwelling,2025-02-01T00:00Z,"],
     "3:from_at", "overlaps"),
    ("one dwelling door of two homes", "household_doors", [*DOORS, "h-1202,z-1201,shared,,"],
     "5:device_id", "another household"),
    ("a resident without a home", "persons", ["id,relation", "p-1,resident"], "2:household_id", "resident"),
    ("a telephone of nobody", "persons", ["id,relation,phone", "p-1,staff,110"], "2:name", "telephone"),
    ("a resident's card of no home", "credentials", ["token,class", "c,resident"], "2:household_id", "credential"),
    ("a card that ends before it begins", "credentials",
     ["token,class,valid_from,valid_to", "c,guard,2025-02-01T00:00Z,2025-01-01T00:00Z"], "2:valid_to", "after"),
    ("consent in the future", "consents", [BOOK_LINES["consents"][0], f"h-1201,watch,x,{LATER},"],
     "2:given_at", "future"),
    ("withdrawn before given", "consents", [BOOK_LINES["consents"][0],
     "h-1201,watch,x,2025-02-01T00:00Z,2025-01-01T00:00Z"], "2:withdrawn_at", "before"),
    ("two standing consents", "consents", [*BOOK_LINES["consents"], "h-1201,watch,x,2025-01-01T00:00Z,"],
     "3:given_at", "second"),
    ("a lease that ends before it begins", "leases", [BOOK_LINES["leases"][0],
     "l-1,h-1202,2026-01-01T00:00Z,2025-01-01T00:00Z,2,"], "2:to_at", "after"),
    ("away for 91 days", "absences", [BOOK_LINES["absences"][0],
     "h-1201,2025-01-01T00:00Z,2025-04-02T00:00:01Z,travel,x,"], "2:to_at", "90 days"),
    ("back before leaving", "absences", [BOOK_LINES["absences"][0],
     "h-1201,2025-01-03T00:00Z,2025-01-02T00:00Z,travel,x,"], "2:to_at", "after"),
    ("revoked in the future", "absences", ["household_id,from_at,to_at,reason,declared_by,revoked_at",
     f"h-1201,2025-01-03T00:00Z,2025-01-04T00:00Z,travel,x,{LATER}"], "2:revoked_at", "future"),
    ("a control character", "communities", ["id,name", "garden,a\x07b"], "2:name", "control"),
    ("letters that were lost", "communities", ["id,name", "garden,花\ufffd园"], "2:name", "lost"),
    ("lost letters read as GBK", "communities", ["id,name", "garden,花锟斤拷园"], "2:name", "lost"),
    ("letters turned to question marks", "communities", ["id,name", "garden,????"], "2:name", "question"),
    ("UTF-8 read as Latin", "communities", ["id,name", "garden,è\x8a±å\x9b\xad"], "2:name", ""),
    ("UTF-8 read as Latin, printable", "communities", ["id,name", "garden,CafÃ©"], "2:name", "wrong encoding"),
    ("UTF-8 read as GBK", "communities", ["id,name", "garden,浣犲ソ"], "2:name", "wrong encoding"),
    ("a cell too many", "communities", ["id,name", "garden,Garden, North"], "2:*", "3 cells"),
    ("an unknown column", "communities", ["id,name,colour", "garden,x,red"], "1:colour", "column 3"),
    ("a column twice", "communities", ["id,name,name", "garden,x,y"], "1:name", "twice"),
    ("a column missing", "communities", ["id,zone", "garden,Asia/Shanghai"], "1:name", "missing"),
    ("semicolons", "communities", ["id;name", "garden;x"], "1:?", "between commas"),
    ("a line break in a cell", "communities", ["id,name", 'garden,"a', 'b"'], "2:*", "line break"),
    ("a quotation mark that never ends", "communities", ["id,name", 'garden,"a"b'], "2:*", "quotation"),
    ("a cell without end", "communities", ["id,name", f"garden,{'x' * 1001}"], "2:name", "long"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("book", "lines", "place", "words"), [row[1:] for row in WRONG_ROWS], ids=[row[0] for row in WRONG_ROWS]
)
def test_a_wrong_row_is_named_with_how_to_mend_it(
    standing_url: str, key_file: Path, tmp_path: Path, book: str, lines: list[str], place: str, words: str
) -> None:
    result = run_import(standing_url, key_file, write_folder(tmp_path / "books", **{book: lines}))
    assert result.exit_code == 1
    told = [line for line in result.stderr.splitlines() if line.startswith(f"{book}.csv:{place}: ")]
    assert told and words in told[0] and "; " in told[0], result.stderr
    assert count_all(standing_url) == 0


GARDEN = "garden,花园社区"


@pytest.mark.parametrize(
    ("data", "encoding", "rows", "words"),
    [
        (f"id,name\n{GARDEN}\n".encode("gb18030"), "utf-8", [2], "--encoding gb18030"),
        (f"id,name\n{GARDEN}\n".encode() + "b,滨河苑\n".encode("gb18030"), "utf-8", [3], "mixed"),
        (f"id,name\n{GARDEN}\n".encode().replace("园".encode(), "园".encode()[:2]), "utf-8", [2], "export"),
        (f"id,name\n{GARDEN}\nb,滨河\n".encode("gb18030")[:-2] + b"\n", "gb18030", [3], "lost"),
        (f"id,name\n{GARDEN}\n".encode(), "gb18030", [2], "is UTF-8"),
        (b"id,name\n" + "b,滨河苑\n".encode("gb18030") + f"{GARDEN}\n".encode(), "gb18030", [3], "UTF-8"),
        (b"\xef\xbb\xbfid,name\n", "gb18030", [0], "UTF-8"),
        (f"id,name\n{GARDEN}\n".encode("utf-16"), "utf-8", [0], "UTF-16"),
        (b"PK\x03\x04 a workbook", "utf-8", [0], "spreadsheet"),
        (b"", "utf-8", [0], "empty"),
    ],
    ids=[
        "another encoding", "two encodings", "a byte lost", "a byte lost in GB18030", "UTF-8 called GB18030",
        "UTF-8 among GB18030", "a mark of UTF-8", "UTF-16", "a workbook", "nothing",
    ],
)  # fmt: skip
def test_a_damaged_encoding_is_refused_with_its_rows(
    standing_url: str, key_file: Path, tmp_path: Path, data: bytes, encoding: str, rows: list[int], words: str
) -> None:
    path = tmp_path / "communities.csv"
    path.write_bytes(data)
    result = run_import(standing_url, key_file, path, "--encoding", encoding)
    assert result.exit_code == 1
    told = result.stderr.splitlines()[:-1]
    assert [line.split(":")[:2] for line in told] == [["communities.csv", str(row)] for row in rows]
    assert words in told[0]
    assert count_all(standing_url) == 0


def test_gb18030_is_read_where_it_is_named(
    database_url: str, run: Callable[..., Result], tmp_path: Path
) -> None:
    books = {name: "\r\n".join(lines).encode("gb18030") for name, lines in BOOK_LINES.items()}
    assert run(write_folder(tmp_path / "books", **books), "--encoding", "gb18030").exit_code == 0
    assert read(database_url, "SELECT name FROM communities") == [{"name": "花园社区"}]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "no JSON"),
        ("[]", "no object of books"),
        ('{"people": []}', "none of the books"),
        ('{"sites": {}}', "no list"),
        ('{"sites": [1]}', "no object"),
        ('{"sites": [{"id": "a", "id": "b"}]}', "twice"),
        ('{"communities": [{"id": "a", "name": ["x"]}]}', "a list or an object"),
        ('{"communities": [{"id": "a", "name": "\\ud800"}]}', "half a character"),
        ('{"communities": [{"id": "a", "name": "x", "rank": 1}]}', "no column"),
        ('{"communities": [{"id": "a", "name": 7, "zone": false}]}', "no text"),
    ],
)
def test_a_document_that_is_none_is_refused(
    standing_url: str, key_file: Path, tmp_path: Path, text: str, words: str
) -> None:
    path = tmp_path / "books.json"
    path.write_text(text, encoding="utf-8")
    result = run_import(standing_url, key_file, path)
    assert result.exit_code == 1 and words in result.stderr and result.stderr.startswith("books.json")


def test_files_that_are_no_books_are_refused_by_name(
    standing_url: str, key_file: Path, tmp_path: Path
) -> None:
    folder = write_folder(tmp_path / "books")
    (folder / "device.csv").write_text("id\n")
    (tmp_path / "sheet.xlsx").write_bytes(b"PK")
    (tmp_path / "empty").mkdir()
    again = folder / "sites.csv"
    result = run_import(standing_url, key_file, folder, tmp_path / "sheet.xlsx", tmp_path / "empty", again)
    assert result.exit_code == 1
    told = {line.split(":")[0] for line in result.stderr.splitlines()[:-1]}
    assert told == {"device.csv", "sheet.xlsx", "empty", "sites.csv"}


def test_the_defaults_of_new_rows_are_those_of_the_database(standing_url: str) -> None:
    tables = {"contacts": "household_contacts"}
    for book, model in BOOKS.items():
        rows = read(
            standing_url,
            "SELECT column_name, column_default FROM information_schema.columns WHERE table_name = %s",
            tables.get(book, book),
        )
        stored = {row["column_name"]: row["column_default"] for row in rows}
        for column, default in model.defaults().items():
            if book == "persons" and column in ("name", "phone"):
                continue
            told = stored[column]
            plain = None if told is None else told.split("::")[0].strip("'")
            assert plain == (
                None if default is None else str(default).lower() if default is False else str(default)
            )


@pytest.mark.parametrize("page", ["import.md", "import.zh.md"])
def test_the_page_on_importing_names_every_column_and_what_must_be_there(page: str) -> None:
    text = (Path(__file__).parents[2] / "docs" / page).read_text(encoding="utf-8")
    for book, model in BOOKS.items():
        section = text.split(f"### {book}")[1].split("\n#")[0]
        first_cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| ")]
        bold = {name for cell in first_cells for name in re.findall(r"\*\*`(\w+)`\*\*", cell)}
        every = {name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)}
        assert (every, bold) == (set(model.columns()), model.required()), book


def test_files_do_not_move_a_home_to_other_hours_by_themselves(
    run: Callable[..., Result], tmp_path: Path, database_url: str
) -> None:
    assert run(write_folder(tmp_path / "first")).exit_code == 0
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO policies (id, version, thresholds_s, ladder, valid_from)"
            " VALUES ('frail', 1, '{28800,57600,86400}', '{}', now())"
        )
        connection.execute("INSERT INTO care_categories VALUES ('frail_alone', 'frail')")
        changed = {
            "households": [
                line.replace(",1,,,2025-11", ",1,,frail,2025-11") for line in BOOK_LINES["households"]
            ],
            "persons": [line.replace("living_alone", "frail_alone") for line in BOOK_LINES["persons"]],
        }
        folder = write_folder(tmp_path / "changed", **changed)
        for _ in range(2):  # the same files again ask nothing anew
            report = report_of(run(folder, "--json"))
            assert report["waiting_for_a_second_person"] == ["h-1201"]
        asked = connection.execute("SELECT asked, asked_by, state FROM agreements ORDER BY id").fetchall()
        stored = connection.execute(
            "SELECT h.policy_id, p.category FROM households h JOIN persons p ON p.household_id = h.id AND p.id = 'p-1'"
        ).fetchone()
    assert [(row[0]["what"], row[0]["from"], row[0]["to"], row[1], row[2]) for row in asked] == [
        ("policy", "mandated", "frail", None, "asked"),
        ("category", "living_alone", "frail_alone", None, "asked"),
    ]
    assert stored == ("mandated", "living_alone")
