"""Photos of a visit: taken only where the home agrees, shown after a purpose, in her package, gone with her consent."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from kaimen.clock import ManualClock
from tests.integration.console_world import World, build_world
from tests.unit.console.test_pictures import BARE, photo

pytestmark = pytest.mark.one_store


@pytest.fixture
def world(database_url: str, manual_clock: ManualClock) -> Iterator[World]:
    built = build_world(database_url, manual_clock)
    yield built
    built.close()


def send(world: World, client: httpx.Client, path: str, data: bytes, name: str = "photo.png") -> Any:
    files = {"photo": (name, data, "text/plain")}
    return client.post(path, data={"csrf": world.csrf(client)}, files=files)


def test_a_photo_is_taken_by_consent_looked_at_for_a_purpose_and_goes_with_the_consent(world: World) -> None:
    helper, clerk = world.browser("watcher"), world.browser("clerk")
    assert world.post(helper, f"/cases/{world.case_ids['wang']}/claim").status_code == 303
    path = f"/tasks/{world.task_ids['wang']}/photos"
    assert send(world, helper, path, photo()).status_code == 409
    assert "没有同意拍照" in helper.get(path).text
    consents = "/households/h-wang/consents/visit_photo"
    assert world.post(clerk, f"{consents}/give", given_by="本人，书面").status_code == 303
    assert send(world, helper, path, b"MZ a program", "photo.jpg").status_code == 422
    assert send(world, helper, path, photo()).status_code == 303  # its name and stated kind say nothing
    (kept,) = world.rows("SELECT id, picture, user_id FROM visit_photos")
    assert (bytes(kept["picture"]), kept["user_id"]) == (BARE, world.user_ids["watcher"])
    # Nothing is shown without a purpose; each look stands in the audit beside it.
    one = f"{path}/{kept['id']}"
    assert world.post(clerk, one).status_code == 422
    seen = world.post(clerk, one, purpose="visit")
    assert (seen.content, seen.headers["content-type"], seen.headers["cache-control"]) == (
        BARE,
        "image/jpeg",
        "no-store",
    )
    trace = world.rows(
        "SELECT actor, action, purpose, object_id FROM audit_entries WHERE action LIKE 'visit_photo%%' ORDER BY id"
    )
    assert [row["action"] for row in trace] == ["visit_photo_taken", "visit_photo_seen"]
    assert trace[1] | {"action": ""} == {
        "actor": f"user:{world.user_ids['clerk']}", "action": "", "purpose": "visit", "object_id": "h-wang",
    }  # fmt: skip
    for stranger in ("family", "watcher-b", "auditor"):
        answer = world.post(world.browser(stranger), one, purpose="visit")
        assert answer.status_code in (403, 404), stranger
        assert answer.content != BARE
    assert world.post(clerk, f"{one}/remove").status_code == 404  # whoever took it takes it back
    # It is in her own package, as a file.
    package = world.post(world.browser("resident"), "/resident/export")
    with zipfile.ZipFile(io.BytesIO(package.content)) as files:
        (row,) = json.loads(files.read("person.json"))["sections"]["photos"]
        assert (files.read(row["file"]), row["taken_by"]) == (BARE, "neighbour_watcher")
    for _ in range(2):
        assert send(world, helper, path, photo()).status_code == 303
    assert send(world, helper, path, photo()).status_code == 409  # three are enough
    newest = world.rows("SELECT max(id) AS id FROM visit_photos")[0]["id"]
    assert world.post(helper, f"{path}/{newest}/remove").status_code == 303
    # Her word takes them away at once.
    assert world.post(world.browser("resident"), "/resident/consents/visit_photo/withdraw").status_code == 303
    assert world.rows("SELECT 1 FROM visit_photos") == []
    assert world.post(clerk, one, purpose="visit").status_code == 404
