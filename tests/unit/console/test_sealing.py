"""Sealed packages: whatever is changed in one, the check names it; a spreadsheet runs nothing of it."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.audit import sealing

KEY = b"a key of a test"
FILES = {
    "look-up.csv": sealing.write_csv(("at", "door"), [("08:00", "3-1"), ("08:05", "3-2"), ("09:00", "3-1")]),
    "look-up.html": b"<p>two</p>",
}
FACTS = {"rows": 3, "ticket": {"number": "L-12"}, "chain": {"entry_id": 7, "hash": "ab"}}
PACKAGE = sealing.seal(FILES, FACTS, KEY)


def unpack(package: bytes = PACKAGE) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(package)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def pack(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as package:
        for name, data in files.items():
            package.writestr(name, data)
    return out.getvalue()


def found(files: Mapping[str, bytes], key: bytes = KEY) -> list[tuple[str, str]]:
    return [(item.kind, item.name) for item in sealing.check(pack(files), key).findings]


def test_a_package_as_it_was_sealed_is_sound_and_tells_its_ticket() -> None:
    report = sealing.check(PACKAGE, KEY)
    assert report.sound
    assert report.keyed
    assert report.facts["ticket"] == {"number": "L-12"}
    assert sealing.seal(FILES, FACTS, KEY) == PACKAGE


@given(data=st.data())
def test_any_byte_of_any_file_that_was_changed_is_noticed(data: st.DataObject) -> None:
    files = unpack()
    name = data.draw(st.sampled_from([name for name in sorted(files) if name != sealing.SEAL]))
    at = data.draw(st.integers(0, len(files[name]) - 1))
    flipped = bytearray(files[name])
    flipped[at] ^= data.draw(st.integers(1, 255))
    report = sealing.check(pack({**files, name: bytes(flipped)}), KEY)
    assert not report.sound
    if name in FILES:
        assert [(item.kind, item.name) for item in report.findings] == [("changed", name)]


def test_a_changed_line_is_named() -> None:
    files = unpack()
    changed = files["look-up.csv"].replace(b"08:05", b"08:06")
    (finding,) = sealing.check(pack({**files, "look-up.csv": changed}), KEY).findings
    assert finding.detail.startswith("from line 3,")
    shorter = b"\r\n".join(files["look-up.csv"].split(b"\r\n")[:-2]) + b"\r\n"
    (finding,) = sealing.check(pack({**files, "look-up.csv": shorter}), KEY).findings
    assert "3 lines instead of 4" in finding.detail


def test_what_was_taken_out_and_put_in_is_named() -> None:
    files = unpack()
    assert found({name: data for name, data in files.items() if name != "look-up.html"}) == [
        ("missing", "look-up.html")
    ]
    assert found({**files, "more.csv": b"x"}) == [("added", "more.csv")]
    for name in (sealing.MANIFEST, sealing.SEAL):
        assert found({key: data for key, data in files.items() if key != name}) == [("missing", name)]


def test_hashes_made_anew_without_the_key_do_not_fit_the_seal() -> None:
    files = unpack()
    files["look-up.html"] = b"<p>one</p>"
    manifest = json.loads(files[sealing.MANIFEST])
    manifest["files"]["look-up.html"] = sealing.digest(files["look-up.html"])
    files[sealing.MANIFEST] = json.dumps(manifest, ensure_ascii=False, sort_keys=True, indent=1).encode()
    assert found(files) == [("seal", sealing.MANIFEST)]


def test_another_key_is_told_from_a_change() -> None:
    assert found(unpack(), b"another") == [("key", sealing.MANIFEST)]
    assert not sealing.check(sealing.seal(FILES, FACTS, b""), b"").keyed


@pytest.mark.parametrize("data", [b"", b"no zip", PACKAGE[: len(PACKAGE) // 2]])
def test_what_is_no_package_is_said_to_be_none(data: bytes) -> None:
    assert [item.kind for item in sealing.check(data, KEY).findings] == ["unreadable"]


@given(cell=st.text(st.sampled_from("=+-@＝\t\r\n ' a1,\"|"), max_size=8))
def test_no_cell_begins_as_a_formula(cell: str) -> None:
    safe = sealing.neutralise(cell)
    assert safe.lstrip(" ")[:1] not in set("=+-@＝\t\r\n") or not safe.strip(" ")
    assert safe in (cell, f"'{cell}")
    text = sealing.write_csv(("a",), [(cell,)]).decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert rows[1:] == [[safe]] or (safe == "" and rows[1:] == [[""]])
