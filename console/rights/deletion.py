"""Deletes what is stored of one person: her id enters, a certificate of what went and what stays leaves, in one act.

Everything happens in the caller's transaction: either all of it or nothing. Rows that others need (that a case was
opened and settled, that somebody looked, that a door was heard) stay without her; a second deletion of the same person
finds the first one's certificate.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import psycopg
from psycopg import sql as sql_words

from alerts import acts
from alerts.retention import EVENTS_READ_FOR, load_rules
from console.audit.chain import Entry, append
from console.rights.holds import standing_hold
from kaimen.database import Connection, queries

_SQL = queries("console", "rights/rights.sql")
_STEPS = queries("console", "rights/deletion.sql")
FORMAT = "kaimen-deletion-1"
MARK = "〔已删除〕"
ASKED_BY = ("self", "heir", "authority")
#: One act of one person may take longer than a page: her cards are looked for among all openings.
_STATEMENT_TIMEOUT = "120s"
#: Which class of the certificate the rows of a step belong to; a step named nowhere is ``other``.
_CLASSES = {
    "identity": ("person_identities", "persons", "person_call_profiles", "person_phone_changes", "home_users"),
    "addresses": ("person_addresses", "person_codes", "person_message_addresses"),
    "cards": ("home_cards", "person_cards", "home_codes", "home_pass_notes", "person_card_notes"),
    "notes": (
        "home_case_entries", "home_cases", "home_tasks", "home_handovers", "home_entry_steps", "home_visit_forms",
        "home_desk_notes", "home_agreements", "look_up_subjects",
    ),
    "words": ("home_words",),
    "absences": ("home_absences", "home_absences_link"),
    "presence": (
        "home_presence", "home_states", "home_early_states", "home_homecomings", "home_notices", "home_expectations",
        "home_late", "home_watch",
    ),
    "facts": (
        "home_crossing_withdrawals", "home_crossings", "home_check_ends", "home_checks", "home_checks_held",
        "home_happenings", "home_signal_ends", "home_signal_forms", "home_case_signals", "home_signals",
    ),
    "messages": ("home_messages", "home_deliveries", "home_receipts", "home_call_reports", "person_messages"),
    "accounts": (
        "home_sessions", "home_tokens", "home_ties", "home_second_factors", "home_recovery_codes",
        "home_sign_in_steps", "home_sign_in_codes", "home_known_devices", "home_outer_identities",
    ),
    "contacts": ("home_contacts", "person_contacts"),
    "leases": ("home_leases",),
    "consents": ("home_consents",),
    "quarantine": ("home_quarantine", "payloads_with_words"),
    "photos": ("home_visit_photos",),
    "recordings": ("home_voices", "voices_by_name", "recordings_of_voice"),
}  # fmt: skip
_CLASS_OF = {step: name for name, steps in _CLASSES.items() for step in steps}
#: Names that are others' own, and rows that are a chain: a word found there is no word about her, or cannot go.
_OTHERS_OWN = frozenset(
    {"person_identities", "users", "communities", "sites", "legal_holds", "retention_runs"}
)


class DeletionRefusal(StrEnum):
    """Why nothing is deleted; the words stand below ``error.``."""

    NO_PERSON = "person_unknown"
    HELD = "legal_hold"
    CASE_OPEN = "case_still_open"


class DeletionRefusedError(ValueError):
    """Nothing was deleted; ``reason`` says why, ``detail`` which paper or case."""

    def __init__(self, reason: DeletionRefusal, detail: str = "") -> None:
        super().__init__(f"{reason.value} {detail}".strip())
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Deleted:
    """A deletion with its certificate; ``already`` where it had been done before."""

    person_id: str
    certificate: dict[str, Any]
    already: bool


@dataclass(frozen=True, slots=True)
class Author:
    """Who deletes: as the audit chain writes it, with the chain's key."""

    actor: str
    role: str
    audit_key: bytes
    community_id: str | None = None


def find_deletion(connection: Connection, person_id: str) -> Deleted | None:
    """Return the certificate of a person deleted before."""
    row = connection.execute(_SQL["deletion"], {"person_id": person_id}).fetchone()
    return None if row is None else Deleted(person_id, row["certificate"], True)


def delete_person(
    connection: Connection, person_id: str, *, asked_by: str, author: Author, now: datetime,
    deleted_at: datetime | None = None,
) -> Deleted:  # fmt: skip
    """Delete what is stored of a person and return the certificate.

    ``deleted_at`` names the instant of a deletion that is done again on a restored backup: then neither a hold nor
    an open case of the old days stops it.

    Raises
    ------
    DeletionRefusedError
        Unknown person, a legal hold, or a case a person still has to settle; nothing is changed then.
    """
    before = find_deletion(connection, person_id)
    if before is not None:
        return before
    connection.execute(_SQL["lock_person"], {"person_id": person_id})
    person = connection.execute(_SQL["person"], {"person_id": person_id}).fetchone()
    if person is None:
        raise DeletionRefusedError(DeletionRefusal.NO_PERSON)
    restored = deleted_at is not None
    if not restored:
        document = standing_hold(
            connection, person_id=person_id, household_id=person["household_id"], now=now
        )
        if document is not None:
            raise DeletionRefusedError(DeletionRefusal.HELD, document)
    connection.execute("SELECT set_config('statement_timeout', %s, true)", (_STATEMENT_TIMEOUT,))
    with connection.transaction():
        if person["alone"]:
            _end_watch(connection, person["household_id"], now, forced=restored)
        return _delete(connection, person, asked_by="restored" if restored else asked_by, author=author,
                       now=now, deleted_at=deleted_at or now)  # fmt: skip


def _end_watch(connection: Connection, household_id: str, now: datetime, *, forced: bool) -> None:
    """Withdraw every consent of the home, and with it what is open about it, as far as it closes by that."""
    connection.execute(_SQL["withdraw_all"], {"household_id": household_id, "now": now})
    acts.settle_consent_withdrawn(connection, household_id=household_id, now=now)
    if forced:
        connection.execute(queries("console", "rights/reapply.sql")["close_cases"],
                           {"household_id": household_id, "now": now})  # fmt: skip
        connection.execute(queries("console", "rights/reapply.sql")["end_tasks"],
                           {"household_id": household_id})  # fmt: skip
    standing = connection.execute(_SQL["open_cases"], {"household_id": household_id}).fetchall()
    if standing:
        raise DeletionRefusedError(DeletionRefusal.CASE_OPEN, ", ".join(row["number"] for row in standing))


def _delete(
    connection: Connection, person: dict[str, Any], *, asked_by: str, author: Author, now: datetime,
    deleted_at: datetime,
) -> Deleted:  # fmt: skip
    whole = bool(person["alone"])
    values = {
        "person_id": person["id"], "household_id": person["household_id"], "whole": whole, "now": now,
        "name": person["name"] or "", "community_id": person["community_id"],
        "words": [word for word in (person["name"], person["phone"]) if word],
        "events_of": person["household_no"] if whole else None, "events_before": now - EVENTS_READ_FOR,
    }  # fmt: skip
    values["tokens"] = [row["token"] for row in connection.execute(_STEPS["tokens"], values)]
    relatives = [row["id"] for row in connection.execute(_STEPS["relatives_alone"], values)] if whole else []
    values["person_ids"] = [person["id"], *relatives]
    words = [*values["words"], *_names_of(connection, relatives)]
    removed = _run_steps(connection, values, whole=whole)
    if relatives:
        removed["relatives"] = len(relatives)
    reviews, kept_words = _clear_words(connection, values, words)
    kept = _kept(connection, whole=whole, now=now, unclear=kept_words)
    body = {
        "format": FORMAT, "person": person["id"], "household": person["household_id"], "whole_household": whole,
        "deleted_at": deleted_at.isoformat(), "deleted_by": author.actor, "asked_by": asked_by,
        "removed": dict(sorted(removed.items())), "kept": kept, "flagged_for_review": reviews,
    }  # fmt: skip
    return _certify(connection, body, values, author=author, now=now, deleted_at=deleted_at)


def _names_of(connection: Connection, person_ids: list[str]) -> list[str]:
    found = []
    for person_id in person_ids:
        row = connection.execute(_SQL["person"], {"person_id": person_id}).fetchone()
        found += [word for word in (row["name"], row["phone"]) if word] if row else []
    return found


def _run_steps(connection: Connection, values: dict[str, Any], *, whole: bool) -> dict[str, int]:
    """Run every step that applies, in the file's order, and count rows by class."""
    removed: dict[str, int] = {}
    events = connection.execute(_STEPS["events"], values).fetchone()
    if events is not None:
        removed["openings_deleted"], removed["openings_stripped"] = events["deleted"], events["stripped"]
    for name, statement in _STEPS.items():
        if name in ("events", "tokens", "relatives_alone") or (name.startswith("home_") and not whole):
            continue
        count = connection.execute(statement, values).rowcount
        label = _CLASS_OF.get(name, "other")
        removed[label] = removed.get(label, 0) + max(count, 0)
    return {name: count for name, count in removed.items() if count}


# --- Words that are left somewhere --------------------------------------------------------------------------------


def _clear_words(connection: Connection, values: dict[str, Any], words: list[str]) -> tuple[int, list[str]]:
    """Take her name and number out of whatever words people wrote, and flag those words for a person to read.

    A name somebody else here bears is not taken out: nobody can say whom the words mean but who reads them. Returns
    how many rows are flagged, and the tables in which a word could not be taken out.
    """
    reviews, stuck = 0, []
    for word in dict.fromkeys(words):
        shared = connection.execute(_REPLACE["borne_by_another"], {"word": word}).fetchone()
        hits = connection.execute(_SQL["find_words"], {"words": [word]}).fetchall()
        for hit in hits:
            if hit["in_table"] in _OTHERS_OWN:
                continue
            if shared is None and not _replace(connection, hit, word):
                stuck.append(hit["in_table"])
                continue
            flag = {**values, **hit}
            reviews += connection.execute(_SQL["flag"], flag).rowcount
    return reviews, sorted(set(stuck))


_REPLACE = queries("console", "rights/reapply.sql")


def _replace(connection: Connection, hit: dict[str, Any], word: str) -> bool:
    """Put the mark in a word's place in one row; False where the row may not be changed."""
    names = {"table": hit["in_table"], "column": hit["in_column"]}
    found = connection.execute(_REPLACE["column"], names).fetchone()
    if found is None or found["data_type"] == "bytea":
        return False
    inside = json.dumps(word, ensure_ascii=False)[1:-1] if found["data_type"] == "jsonb" else word
    column = sql_words.Identifier(hit["in_column"])
    statement = sql_words.SQL(
        "UPDATE {table} SET {column} = replace({column}::text, %s, %s)::{type}"
        " WHERE {key}::text = %s AND position(%s IN {column}::text) > 0"
    ).format(
        table=sql_words.Identifier(hit["in_table"]), column=column, key=sql_words.Identifier(found["key"]),
        type=sql_words.SQL("jsonb" if found["data_type"] == "jsonb" else
                           "text[]" if found["data_type"] == "ARRAY" else "text"),
    )  # fmt: skip
    try:
        with connection.transaction():
            connection.execute(statement, (inside, MARK, hit["row_key"], inside))
    except psycopg.Error:
        return False
    return True


def settle_review(
    connection: Connection, review_id: int, *, community_id: str | None, erase: bool, by: str, now: datetime
) -> dict[str, Any] | None:
    """Write what became of words that were flagged: erased, or kept because nothing of her is in them."""
    values = {"id": review_id, "community_id": community_id, "by": by, "now": now}
    row = connection.execute(_SQL["review"], values).fetchone()
    if row is None:
        return None
    if erase:
        _erase(connection, row)
    connection.execute(_SQL["review_done"], {**values, "result": "erased" if erase else "kept"})
    return row


def read_review(connection: Connection, row: dict[str, Any]) -> str:
    """Return the words as they stand now, at most 2,000 characters."""
    found = _column(connection, row)
    if found is None:
        return ""
    text = connection.execute(
        sql_words.SQL("SELECT left({column}::text, 2000) AS words FROM {table} WHERE {key}::text = %s LIMIT 1")
        .format(table=sql_words.Identifier(row["in_table"]), column=sql_words.Identifier(row["in_column"]),
                key=sql_words.Identifier(found["key"])),
        (row["row_key"],),
    ).fetchone()  # fmt: skip
    return "" if text is None or text["words"] is None else str(text["words"])


def _column(connection: Connection, row: dict[str, Any]) -> dict[str, Any] | None:
    return connection.execute(
        _REPLACE["column"], {"table": row["in_table"], "column": row["in_column"]}
    ).fetchone()


def _erase(connection: Connection, row: dict[str, Any]) -> None:
    found = _column(connection, row)
    if found is None:
        return
    empty = {"jsonb": "{}", "ARRAY": "{}"}.get(found["data_type"], "")
    connection.execute(
        sql_words.SQL("UPDATE {table} SET {column} = %s WHERE {key}::text = %s").format(
            table=sql_words.Identifier(row["in_table"]), column=sql_words.Identifier(row["in_column"]),
            key=sql_words.Identifier(found["key"]),
        ),
        (empty, row["row_key"]),
    )  # fmt: skip


# --- The certificate ----------------------------------------------------------------------------------------------


def _kept(
    connection: Connection, *, whole: bool, now: datetime, unclear: Iterable[str]
) -> list[dict[str, str | None]]:
    """Say what stays, why, and until when (a date; None: as long as the installation stands)."""
    rules = load_rules(connection)

    def until(days: int) -> str:
        return (now + timedelta(days=days)).date().isoformat()

    kept: list[dict[str, str | None]] = [
        {"what": "ledger", "why": "restored_backups", "until": None},
        {"what": "audit", "why": "who_looked", "until": None},
        {"what": "look_ups", "why": "law_on_look_ups", "until": until(1095)},
    ]
    if whole:
        kept += [
            {"what": "cases", "why": "figures_without_her", "until": until(rules["cases"].keep_days)},
            {"what": "door_events", "why": "doors_heard", "until": until(rules["door_events"].keep_days)},
            {"what": "consents", "why": "proof", "until": until(rules["consents"].keep_days)},
        ]
    else:
        kept.append({"what": "household", "why": "others_live_there", "until": None})
    kept += [{"what": f"words in {table}", "why": "chained", "until": None} for table in unclear]
    return kept


def _certify(
    connection: Connection, body: dict[str, Any], values: dict[str, Any], *, author: Author, now: datetime,
    deleted_at: datetime,
) -> Deleted:  # fmt: skip
    digest = hash_certificate(body)
    entry = Entry(
        now, author.actor, author.role, "person_deleted", "rights", "person", body["person"],
        {
            "community": author.community_id or values["community_id"], "household": body["household"],
            "certificate": digest, "whole": body["whole_household"], "asked_by": body["asked_by"],
        },
    )  # fmt: skip
    entry_id = append(connection, entry, key=author.audit_key)
    place = connection.execute(_SQL["chain_place"], {"id": entry_id}).fetchone()
    assert place is not None
    certificate = {**body, "hash": digest, "chain": {"entry_id": place["id"], "hash": place["hash"]}}
    connection.execute(
        _SQL["deletion_add"],
        {
            **values, "now": deleted_at, "by": author.actor, "asked_by": body["asked_by"],
            "certificate": json.dumps(certificate, ensure_ascii=False), "entry_id": entry_id,
        },
    )  # fmt: skip
    return Deleted(body["person"], certificate, False)


def hash_certificate(certificate: dict[str, Any]) -> str:
    """Return the hash a certificate bears: over everything of it but hash and place in the chain."""
    body = {key: value for key, value in certificate.items() if key not in ("hash", "chain")}
    text = json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
