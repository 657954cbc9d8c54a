"""``kaimen edge decode``: a file of vendor payloads enters, what each says and the score against labels leave.

A sample is ``undecided`` where we say that we do not know (kind unknown, or no claim about an opening where the
label makes one), ``wrong`` where we say something else than its label, ``crashed`` where a dialect failed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from edge.dialects import interpret
from edge.dialects.values import as_mapping, as_text
from edge.reading import Kind

_DOOR_STATES = (Kind.DOOR_OPEN, Kind.DOOR_CLOSED, Kind.DOOR_STATE)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    with path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield number, line


def _verdict(kind: str, opening: bool | None, meaning: Any) -> str:
    expected = as_mapping(meaning)
    if "kind" not in expected:
        return "unlabelled"
    expected_opening = expected.get("proves_opening")
    if kind == expected["kind"] and opening == expected_opening:
        return "correct"
    if kind == Kind.UNKNOWN or (kind == expected["kind"] and opening is None):
        return "undecided"
    if kind == Kind.DOOR_STATE_UNKNOWN and opening is None and expected["kind"] in _DOOR_STATES:
        return "undecided"
    return "wrong"


def decode_sample(sample: Any, name: str) -> dict[str, Any]:
    """Decode one sample object and compare it with its label, where it has one."""
    obj = as_mapping(sample)
    meaning = obj.get("meaning")
    expected = as_mapping(meaning)
    row: dict[str, Any] = {
        "id": as_text(obj.get("id")) or name,
        "kind": str(Kind.UNKNOWN),
        "opening": None,
        "expected_kind": expected.get("kind"),
        "expected_opening": expected.get("proves_opening"),
    }
    topic = obj.get("topic")
    try:
        found = interpret(
            topic if isinstance(topic, str) else None, obj.get("payload"), as_text(obj.get("encoding"))
        )
    except Exception as error:  # noqa: BLE001 - the report is about failures of the dialects
        return {**row, "verdict": "crashed", "why": f"{type(error).__name__}: {error}"[:200]}
    row |= {"kind": str(found.kind), "opening": found.opening}
    return {**row, "verdict": _verdict(str(found.kind), found.opening, meaning), "why": found.why}


def decode_file(path: Path) -> dict[str, Any]:
    """Decode a JSON Lines file of samples and report each and the score.

    Raises
    ------
    OSError
        If the file cannot be read. A line that is no JSON counts as crashed: it is in the report, not on the way.
    """
    samples = []
    for number, line in _lines(path):
        try:
            sample = msgspec.json.decode(line)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            samples.append({"id": f"line-{number}", "kind": "unknown", "opening": None, "expected_kind": None,
                            "expected_opening": None, "verdict": "crashed", "why": f"no JSON: {error}"[:200]})  # fmt: skip
            continue
        samples.append(decode_sample(sample, f"line-{number}"))
    counts = {verdict: sum(row["verdict"] == verdict for row in samples) for verdict in _VERDICTS}
    labelled = sum(row["expected_kind"] is not None for row in samples)
    return {"total": len(samples), "labelled": labelled, **counts, "samples": samples}


_VERDICTS = ("correct", "wrong", "undecided", "crashed")


def merge(reports: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Add several reports up."""
    names = ("total", "labelled", *_VERDICTS)
    total: dict[str, Any] = {name: sum(report[name] for report in reports) for name in names}
    total["samples"] = [row for report in reports for row in report["samples"]]
    return total


def format_report(report: dict[str, Any]) -> str:
    """Return the report as lines for people."""
    lines = []
    for row in report["samples"]:
        claim = {True: "proves an opening", False: "no opening", None: "opening not proved by itself"}[
            row["opening"]
        ]
        lines.append(f"{row['id']:<28} {row['kind']:<20} {claim:<30} {row['verdict']:<10} {row['why']}")
    score = "  ".join(f"{name} {report[name]}" for name in ("total", "labelled", *_VERDICTS))
    return "\n".join([*lines, score])


def main(argv: Sequence[str] | None = None) -> int:
    """Decode the files named on the command line; ``--json`` writes the report as JSON alone."""
    parser = argparse.ArgumentParser(
        prog="kaimen edge decode", description=__doc__.split("\n")[0] if __doc__ else None
    )
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--json", action="store_true", dest="as_json")
    options = parser.parse_args(argv)
    report = merge([decode_file(path) for path in options.files])
    text = msgspec.json.encode(report).decode() if options.as_json else format_report(report)
    sys.stdout.write(f"{text}\n")
    return 1 if report["crashed"] else 0
