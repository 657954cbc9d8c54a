"""Ladders as rows and in cases: a stored policy enters, a ``LadderPolicy`` leaves, and the other way round; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from datetime import time
from typing import Any

from kaimen.policy import CAUSE_LADDERS, CauseLadder, LadderPolicy, care_ladder
from kaimen.vocabulary import CaseCause


def parse_policy(row: Mapping[str, Any]) -> LadderPolicy:
    """Return the ladder of a row of ``policies`` (or of its absence: the mandated one) in a community's zone.

    Beneath it lies what the residents' kinds of care ask for, then what is stored for such care.
    """
    values: dict[str, Any] = {"zone": row["zone"], **care_ladder(row.get("categories") or ())}
    values |= policy_values(row.get("care_ladder") or {})
    if row.get("policy_version") is not None:
        values["version"] = row["policy_version"]
        values["thresholds_ms"] = tuple(seconds * 1000 for seconds in row["thresholds_s"])
        values |= policy_values(row["ladder"])
    return LadderPolicy(**values)


_POLICY_FIELDS = {item.name for item in fields(LadderPolicy)}
_CAUSE_FIELDS = {item.name for item in fields(CauseLadder)}


def policy_values(ladder: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a ladder as stored; unknown ones are a newer program's and are left out."""
    values = {name: value for name, value in ladder.items() if name in _POLICY_FIELDS}
    for name in ("call_from", "call_until"):
        if name in values:
            values[name] = time.fromisoformat(values[name])
    if "list_times" in values:
        values["list_times"] = tuple(time.fromisoformat(at) for at in values["list_times"])
    if "thresholds_ms" in values:
        values["thresholds_ms"] = tuple(values["thresholds_ms"])
    if "causes" in values:
        values["causes"] = {**CAUSE_LADDERS, **_parse_causes(values["causes"])}
    return values


def _parse_causes(stored: Mapping[str, Mapping[str, Any]]) -> dict[str, CauseLadder]:
    """Return the stored ladders of causes; what one does not say is as in the default."""
    return {
        cause: replace(CAUSE_LADDERS[cause], **_cause_values(ladder))
        for cause, ladder in stored.items()
        if cause in CAUSE_LADDERS
    }


def _cause_values(ladder: Mapping[str, Any]) -> dict[str, Any]:
    values = {name: value for name, value in ladder.items() if name in _CAUSE_FIELDS}
    for name in ("outcomes", "told"):
        if name in values:
            values[name] = tuple(values[name])
    if "then" in values:
        values["then"] = tuple((int(after_ms), str(role)) for after_ms, role in values["then"])
    return values


def format_policy(policy: LadderPolicy, cause: CaseCause) -> dict[str, Any]:
    """Return the ladder as it is snapshotted into a case: of the causes' ladders its own alone."""
    causes = {cause.value: policy.causes[cause.value]} if cause.value in policy.causes else {}
    values = asdict(replace(policy, causes=causes))
    values["list_times"] = [at.isoformat("minutes") for at in policy.list_times]
    values["call_from"] = policy.call_from.isoformat("minutes")
    values["call_until"] = policy.call_until.isoformat("minutes")
    values["thresholds_ms"] = list(policy.thresholds_ms)
    return values
