"""The first day of an installation: what is not there yet is said, with what comes next, and a community is registered."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from console.identity.sessions import add_user
from console.words import load_catalogue
from kaimen.clock import ManualClock
from kaimen.database import transaction
from kaimen.vocabulary import Role
from tests.integration.console_world import PASSWORD, World, build_world, empty_world

pytestmark = [pytest.mark.slow, pytest.mark.one_store]

WORDS = load_catalogue("zh")
NEW = {"name": "湖畔社区", "site_name": "湖畔苑", "id": "lake", "zone": "Asia/Shanghai"}


@pytest.fixture
def empty(database_url: str, manual_clock: ManualClock) -> Iterator[World]:
    world = empty_world(database_url, manual_clock)
    with transaction(world.pool) as connection:
        add_user(
            connection, name="admin", display_name="管理员", password=PASSWORD, role=Role.ADMIN, community_id=None,
            now=world.now,
        )  # fmt: skip
    yield world
    world.close()


@pytest.fixture
def world(database_url: str, manual_clock: ManualClock) -> Iterator[World]:
    built = build_world(database_url, manual_clock)
    yield built
    built.close()


def done_steps(page: str) -> list[bool]:
    return [
        "is-done" in item for item in page.split('<ol class="steps">')[1].split("</ol>")[0].split("<li")[1:]
    ]


def test_an_empty_installation_says_what_comes_next_on_every_page_and_registers_its_community(
    empty: World,
) -> None:
    admin = empty.browser("admin")
    assert done_steps(admin.get("/admin").text) == [False] * 6
    for path in ("/duty", "/figures", "/dry-run"):
        page = admin.get(path)
        assert page.status_code == 404 and WORDS["error_page.title.no_community"][0] in page.text
    assert 'value="site"' in admin.get("/admin/communities/new").text, (
        "what the edge of this machine says already"
    )
    assert empty.post(admin, "/admin/communities/new", **NEW).headers["location"] == "/admin"
    assert empty.rows(
        "SELECT c.name, c.zone, s.id, s.name AS site FROM sites s JOIN communities c ON c.id = s.community_id"
    ) == [{"name": "湖畔社区", "zone": "Asia/Shanghai", "id": "lake", "site": "湖畔苑"}]
    # Nobody is on duty whom a message reaches.
    assert done_steps(admin.get("/admin").text) == [True, False, False, False, False, False]
    assert admin.get("/duty").status_code == 200
    (entry,) = empty.rows("SELECT detail, object_id FROM audit_entries WHERE action = 'community_registered'")
    assert entry["object_id"] == "lake" and entry["detail"]["community"] == "lake"


def test_somebody_is_watched_when_somebody_is(world: World) -> None:
    admin = world.browser("admin")
    assert done_steps(admin.get("/admin").text)[3]
    world.write("UPDATE consents SET withdrawn_at = now() WHERE purpose = 'watch'")
    assert not done_steps(admin.get("/admin").text)[3], "homes and rosters alone are no watch"


def test_what_is_wrong_with_a_new_community_stands_beside_its_field_and_nothing_is_written(
    world: World,
) -> None:
    admin = world.browser("admin")
    before = world.rows("SELECT * FROM communities ORDER BY id")
    for changed, field, word in (
        ({"name": " "}, "name", "required"),
        ({"id": "Lake 1"}, "id", "not_valid"),
        ({"id": "wenchang"}, "id", "community_taken"),
        ({"id": "site-binhe"}, "id", "community_taken"),
        ({"zone": "Asia/Nowhere"}, "zone", "not_valid"),
    ):
        answer = world.post(admin, "/admin/communities/new", **{**NEW, **changed})
        assert answer.status_code == 422 and f'id="error-{field}"' in answer.text, changed
        assert WORDS[f"error.{word}"][0] in answer.text, changed
    assert world.rows("SELECT * FROM communities ORDER BY id") == before


def test_only_whoever_looks_after_everything_adds_a_community(world: World) -> None:
    world.write("UPDATE users SET community_id = 'wenchang' WHERE name = 'admin'")
    for name in ("admin", "clerk", "director"):
        person = world.browser(name)
        assert person.get("/admin/communities/new").status_code in (403, 404)
        assert world.post(person, "/admin/communities/new", **NEW).status_code in (403, 404)
    assert "/admin/communities/new" not in world.browser("admin").get("/admin").text
