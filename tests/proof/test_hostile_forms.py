"""Every form with fields nobody of good will sends: never a failure of ours, never half a thing stored, always words.

The fields of a form are those its route takes; each value is hostile in one way. One request per form and value is a
hundred times what fits into a test run: a seed draws a few for each, ``KAIMEN_TEST_HOSTILE`` more.
"""

from __future__ import annotations

import os
import random
import re
from typing import Any
from urllib.parse import urlencode

import pytest
from fastapi.routing import APIRoute
from psycopg import sql

from console.api.description import routes_in
from kaimen.database import Connection
from tests.proof.asking import Answer, address
from tests.proof.fix_proof import Place
from tests.proof.objects import values_for
from tests.proof.sent import ACTS, fields_of
from tests.proof.table import read_table

ROUNDS = int(os.environ.get("KAIMEN_TEST_HOSTILE", "2"))
#: Beside the words it shows the log once more, and that is a reading, which leaves its entry.
SHOWN_AGAIN = ("/access-log/export",)
#: Forms whose refusals are counted, so that guessing waits: that is what they store.
COUNTED = ("/sign-in", "/account/second-factor", "/account/password")
HOSTILE = (
    "", " ", "0", "-1", "1e309", "NaN", "99999999999999999999999", "９", "null", "true", "[]", "{}", "on",
    "x" * 300, "x" * 3_000, "字" * 10_000, "\x00", "a\x00b", "\x01\x02\x1b[31m", "\ud800", "\udfff\ud800", "\u202eabc\u202c",
    "\u200b", "\ufeff", "a\r\nSet-Cookie: x=1", "' OR 1=1 --", "'; DROP TABLE users; --", "\\", "%s %(id)s {0} {x}",
    "{{ 7 * 7 }}", "{% raw %}", "${7*7}", "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "../../etc/passwd",
    "=cmd|' /C calc'!A0", "0000-00-00T00:00", "0001-01-01T00:00", "9999-12-31T23:59", "2025-11-21T24:00", "2025-02-30T10:00", "2025-11-21",
    "2025-11-21T10:00+99:99", "-2025-11-21T10:00", "25:61", "1" * 19, str(2**63), str(-(2**63)), "wenchang", "h-other",
)  # fmt: skip
#: Of what a form's fields are called where the route reads the whole form itself.
FREE = (
    "note",
    "channel",
    "address",
    "code",
    "quiet_from",
    "quiet_until",
    "position",
    "language",
    "zone",
    "digest",
    "proof",
)


def _fields(route: APIRoute) -> list[str]:
    names = {field.alias for field in route.dependant.body_params} - {"csrf"}
    return sorted(names) or list(FREE)


def _who(row: Any) -> str:
    """Somebody whom the route lets in; nobody where an address is its own proof."""
    people = sorted(row.own - {""})
    return people[0] if people else ""


WRITES = re.compile(r"\b(INSERT|UPDATE|DELETE)\b")
#: What a refusal may leave: that somebody was seen, failed or guessed, and that she looked.
TRACES = ("sessions", "sign_in_failures", "audit_entries", "kiosks", "kiosk_presses", "binding_codes")


def _stored(connection: Connection) -> dict[str, object]:
    """A sum over every row of every table that people's acts may write."""
    tables = connection.execute(
        "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'public'"
        " AND c.relkind = 'r' AND NOT c.relispartition AND c.relname <> ALL(%s) ORDER BY 1",
        (list(TRACES),),
    ).fetchall()
    parts = [
        sql.SQL(
            "SELECT {} AS name, count(*) || '/' || coalesce(sum(hashtext(t::text)), 0) AS sum FROM {} t"
        ).format(row["relname"], sql.Identifier(row["relname"]))
        for row in tables
    ]
    return {
        row["name"]: row["sum"] for row in connection.execute(sql.SQL(" UNION ALL ").join(parts)).fetchall()
    }


def _judge(answer: Answer, sent: str) -> str | None:
    """Say what is wrong with an answer, or nothing."""
    if answer.status >= 500:
        return f"answered {answer.status}"
    if answer.status not in (200, 303, 400, 403, 404, 409, 413, 422, 429):
        return f"answered {answer.status}"
    if any(word in answer.text for word in ("Traceback", "psycopg", "SQLSTATE", "pydantic")):
        return "speaks of our insides"
    if "<script>alert" in answer.text or "<img src=x" in answer.text:
        return "gives markup back"
    if "x=1" in answer.headers.get("set-cookie", "") or "\n" in answer.headers.get("location", ""):
        return "lets a header in"
    if answer.status >= 400 and answer.headers.get("content-type", "").startswith("text/html"):
        visible = re.sub(r"<[^>]+>|\s+", " ", answer.text)
        if len(visible.strip()) < 20:
            return "refuses without a word"
    if (
        "{{ 7" not in sent
        and "7*7" not in sent
        and "default-src 'none'" not in answer.headers["content-security-policy"]
    ):
        return "comes without its headers"
    return None


@pytest.mark.slow
def test_hostile_fields_are_refused_in_words_and_change_nothing(place: Place) -> None:
    chance, table, wrong, asked = random.Random(20251121), read_table(), [], 0
    before = place.asker.ask("", "GET", "/healthz", look=lambda connection, _: _stored(connection)).left

    def look(connection: Connection, answer: Answer) -> object:
        """What is stored after a refusal; as it was where nothing was written."""
        wrote = answer.status >= 400 and any(WRITES.search(one) for one in answer.statements)
        return _stored(connection) if wrote else before

    for route in routes_in(place.asker.app.routes):
        row = table.get(("POST", route.path))
        if (
            row is None
            or route.path.startswith(("/api/", "/in/", "/voice/", "/field/"))
            or route.path.startswith(COUNTED)
        ):
            continue
        names, who = _fields(route), _who(row)
        values = {
            **values_for(route.path, place.values["own"]),
            **ACTS.get(route.path, {}),
        }
        for number in range(ROUNDS):
            # All fields hostile, then one among the good ones: what comes behind the first refusal is reached too.
            good = {name: address(value, values) for name, value in fields_of(route.path).items()}
            chosen = names if number % 2 == 0 else [chance.choice(names)]
            fields = good | {name: chance.choice(HOSTILE) for name in chosen}
            answer = place.asker.ask(who, "POST", address(route.path, values), fields=fields, look=look)
            asked += 1
            if (fault := _judge(answer, repr(fields))) is not None:
                wrong.append(f"{route.path} {fault}: {fields!r:.200}")
            if answer.status >= 400 and answer.left != before and route.path not in SHOWN_AGAIN:
                wrong.append(f"{route.path} answered {answer.status} and stored something: {fields!r:.200}")
    assert not wrong, "\n".join(wrong)
    assert asked > 60 * ROUNDS


@pytest.mark.slow
def test_hostile_addresses_are_not_found_in_words(place: Place) -> None:
    chance, wrong = random.Random(20251122), []
    for (method, path), row in sorted(read_table().items()):
        if row.foreign is None or path.startswith("/api/"):
            continue
        for _ in range(ROUNDS):
            names = re.findall(r"{(\w+)}", path)
            values = {
                **values_for(path, place.values["own"]),
                chance.choice(names): chance.choice(HOSTILE) or "-",
            }
            values = {
                name: str(value).encode("utf-8", "surrogatepass").decode("latin-1")
                for name, value in values.items()
            }
            answer = place.asker.ask(_who(row), method, address(path, values))
            if (fault := _judge(answer, repr(values))) is not None:
                wrong.append(f"{method} {path} {fault}: {values!r:.200}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
def test_hostile_queries_are_answered_in_words(place: Place) -> None:
    chance, table, wrong, asked = random.Random(20251123), read_table(), [], 0
    for route in routes_in(place.asker.app.routes):
        row, names = (
            table.get(("GET", route.path)),
            sorted(field.alias for field in route.dependant.query_params),
        )
        if row is None or not names or route.path.startswith("/api/"):
            continue
        who, path = _who(row), address(route.path, values_for(route.path, place.values["own"]))
        for number in range(ROUNDS + 1):
            chosen = names if number == 0 else [chance.choice(names)]
            query = {name: chance.choice(HOSTILE).encode("utf-8", "surrogatepass")[:900] for name in chosen}
            answer = place.asker.ask(who, "GET", f"{path}?{urlencode(query)}")
            asked += 1
            if (fault := _judge(answer, repr(query))) is not None:
                wrong.append(f"{route.path} {fault}: {query!r:.200}")
    assert not wrong, "\n".join(wrong)
    assert asked > 20 * ROUNDS
