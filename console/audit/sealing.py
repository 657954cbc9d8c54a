"""Sealed packages: files and facts enter, a zip with their hashes and a seal leaves; a zip enters, findings leave.

Pure. The seal is an HMAC-SHA256 over the list of hashes, made with a key derived from the audit chain's: whoever has
the key file can check a package anywhere, without the database and without a network.
"""

from __future__ import annotations

import csv
import hashlib
import hmac
import io
import json
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

FORMAT = "kaimen-sealed-1"
MANIFEST, SEAL = "manifest.json", "seal.txt"
FILES_MAX = 100
BYTES_MAX = 64 * 1024 * 1024
_FIXED_DATE = (1980, 1, 1, 0, 0, 0)
#: A spreadsheet takes a cell that begins so for a formula; full-width forms and what precedes them too.
_FORMULA_BEGINS = frozenset("=+-@\t\r\n＝＋－＠")

PRINT_STYLE = b"""body { font: 12px/1.5 sans-serif; margin: 12mm; }
table { border-collapse: collapse; width: 100%; }
th, td { border: 1px solid #999; padding: 2px 5px; text-align: left; vertical-align: top; }
thead { display: table-header-group; }
tr { break-inside: avoid; }
@media screen { body { font-size: 16px; margin: 16px; } }
@media screen and (max-width: 640px) {
.by-row thead { display: none; }
.by-row tr { display: block; border: 1px solid #999; margin: 0 0 10px; }
.by-row td { display: flex; gap: 12px; border: 0; padding: 4px 8px; overflow-wrap: anywhere; }
.by-row td::before { content: attr(data-label); flex: 0 0 38%; color: #555; }
}
.watermark { position: fixed; top: 2mm; left: 0; right: 0; text-align: center; color: #777; }
"""
HOW_TO_CHECK = (
    "kaimen audit verify PACKAGE --key-file KEY\n\n"
    "Checks this package without a network: every file against manifest.json, manifest.json against seal.txt.\n"
    "离线核验：逐个文件与 manifest.json 核对，manifest.json 与 seal.txt 核对，并指出被改动的文件和行。\n"
).encode()


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def seal_key(audit_key: bytes) -> bytes:
    """Derive the key of seals; knowing it does not let anybody write to the audit chain."""
    return hmac.digest(audit_key or b"kaimen", b"kaimen seal 1", "sha256")


def neutralise(cell: str) -> str:
    """Put an apostrophe before what a spreadsheet would run as a formula."""
    return f"'{cell}" if cell.lstrip(" \u3000\ufeff")[:1] in _FORMULA_BEGINS and cell.strip(" ") else cell


def write_csv(header: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    """Return a table as UTF-8 with the mark spreadsheets know it by; every cell is neutralised."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    for row in (header, *rows):
        writer.writerow([neutralise(cell) for cell in row])
    return b"\xef\xbb\xbf" + text.getvalue().encode()


def _line_digests(data: bytes) -> list[str]:
    return [digest(line)[:16] for line in data.split(b"\n")]


def _manifest(files: Mapping[str, bytes], facts: Mapping[str, Any], audit_key: bytes) -> bytes:
    body = {
        "format": FORMAT,
        **facts,
        "files": {name: digest(data) for name, data in sorted(files.items())},
        "lines": {name: _line_digests(data) for name, data in sorted(files.items()) if name.endswith(".csv")},
        "keyed": bool(audit_key),
        "key": digest(seal_key(audit_key))[:16],
    }
    return json.dumps(body, ensure_ascii=False, sort_keys=True, indent=1).encode()


def seal(files: Mapping[str, bytes], facts: Mapping[str, Any], audit_key: bytes) -> bytes:
    """Return the package: the files, ``manifest.json`` with hashes and facts, ``seal.txt`` over the manifest."""
    manifest = _manifest(files, facts, audit_key)
    mark = hmac.digest(seal_key(audit_key), manifest, "sha256").hex().encode() + b"\n"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as package:
        for name, data in (*sorted(files.items()), (MANIFEST, manifest), (SEAL, mark)):
            package.writestr(zipfile.ZipInfo(name, _FIXED_DATE), data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it was sealed; ``kind``: changed, missing, added, twice, seal, key, unreadable."""

    kind: str
    name: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What a check of a package found; ``facts`` are the manifest's, to be believed only where it is sound."""

    findings: tuple[Finding, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)
    keyed: bool = True

    @property
    def sound(self) -> bool:
        return not self.findings


def check(data: bytes, audit_key: bytes) -> Report:
    """Check a package and name everything that was changed, added or taken out."""
    try:
        files, twice = _unpack(data)
        manifest = json.loads(files[MANIFEST])
        stored, lines, key = dict(manifest["files"]), dict(manifest.get("lines", {})), str(manifest["key"])
        mark = files[SEAL].decode("ascii").strip()
        known = manifest["format"] == FORMAT
    except KeyError as error:
        return Report((Finding("missing", str(error.args[0])),))
    except (
        zipfile.BadZipFile,
        ValueError,
        TypeError,
        OSError,
        EOFError,
        NotImplementedError,
        RuntimeError,
        zlib.error,
    ) as error:
        return Report((Finding("unreadable", "", str(error)),))
    if not known:
        return Report((Finding("unreadable", MANIFEST, "an unknown format"),))
    findings = [Finding("twice", name) for name in twice]
    if key != digest(seal_key(audit_key))[:16]:
        findings.append(Finding("key", MANIFEST, "sealed with another key than the one given, or changed"))
    elif not hmac.compare_digest(
        hmac.digest(seal_key(audit_key), files[MANIFEST], "sha256").hex().encode(), mark.encode()
    ):
        findings.append(Finding("seal", MANIFEST, "the list of hashes or the seal was changed"))
    findings += _compare(files, stored, lines)
    return Report(tuple(findings), manifest, bool(manifest.get("keyed")))


def _unpack(data: bytes) -> tuple[dict[str, bytes], list[str]]:
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        members = package.infolist()
        if len(members) > FILES_MAX or sum(member.file_size for member in members) > BYTES_MAX:
            raise ValueError("larger than any package of ours")
        names = [member.filename for member in members]
        files = {member.filename: package.read(member) for member in members}
    return files, sorted({name for name in names if names.count(name) > 1})


def _compare(
    files: Mapping[str, bytes], stored: Mapping[str, str], lines: Mapping[str, Sequence[str]]
) -> Iterable[Finding]:
    for name, expected in sorted(stored.items()):
        if name not in files:
            yield Finding("missing", name)
        elif digest(files[name]) != expected:
            yield Finding("changed", name, _changed_lines(files[name], lines.get(name, ())))
    for name in sorted(set(files) - set(stored) - {MANIFEST, SEAL}):
        yield Finding("added", name)


def _changed_lines(data: bytes, expected: Sequence[str]) -> str:
    """Name the first line that is not as it was sealed; line 1 is the heading."""
    if not expected:
        return ""
    found = _line_digests(data)
    for number, (now, then) in enumerate(zip(found, expected, strict=False), 1):
        if now != then:
            return f"from line {number}, {len(found) - 1} lines instead of {len(expected) - 1}"
    return f"{len(found) - 1} lines instead of {len(expected) - 1}"
