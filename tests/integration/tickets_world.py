"""A world enters; a second officer beside its own leaves, and the ways people take to ask, agree and read."""

from __future__ import annotations

from typing import Any

from tests.integration.console_world import World

#: A window of a day on one door: a second officer's word is enough. ``console_world`` stands on 21 November 2025.
WITHIN_LIMITS = {
    "purpose": "missing_person", "case_number": "京公 2025-00123", "basis": "case_file", "door": "d-h-wang",
}  # fmt: skip
URGENT = {**WITHIN_LIMITS, "basis": "emergency", "reason": "老人走失，天黑前要找到"}


def add_second_officer(world: World, name: str = "police-2") -> None:
    world.write(
        "INSERT INTO users (name, display_name, password_hash, role, community_id, created_at, trained_until)"
        " SELECT %s, %s, password_hash, role, community_id, created_at, trained_until FROM users"
        " WHERE name = 'police'",
        name, f"{name} display",
    )  # fmt: skip
    world.user_ids[name] = world.rows("SELECT id FROM users WHERE name = %s", name)[0]["id"]


def window(world: World, hours: float = 24) -> dict[str, str]:
    """The last hours, as the form of a reader in Shanghai sends them."""
    from datetime import timedelta

    local = world.now + timedelta(hours=8)
    return {"from": f"{local - timedelta(hours=hours):%Y-%m-%dT%H:%M}", "to": f"{local:%Y-%m-%dT%H:%M}"}


def ask(world: World, name: str = "police", **changes: Any) -> Any:
    """Send the form; the answer is a redirect where a ticket was taken."""
    return world.post(world.browser(name), "/police/look-up", **{**WITHIN_LIMITS, **window(world), **changes})


def newest(world: World) -> int:
    return int(world.rows("SELECT max(id) AS id FROM look_up_tickets")[0]["id"])


def asked(world: World, name: str = "police", **changes: Any) -> int:
    answer = ask(world, name, **changes)
    assert answer.status_code == 303, answer.text
    return newest(world)


def agree(world: World, ticket: int, name: str = "police-2", **fields: str) -> Any:
    return world.post(
        world.browser(name), f"/police/tickets/{ticket}/answer", **{"answer": "grant", **fields}
    )


def granted(world: World, name: str = "police", **changes: Any) -> int:
    ticket = asked(world, name, **changes)
    assert agree(world, ticket, "supervisor", reason="核实过案卷").status_code == 303
    return ticket


def read(world: World, ticket: int, name: str = "police") -> Any:
    return world.browser(name).get(f"/police/look-up?ticket={ticket}")


def actions(world: World) -> list[str]:
    return [row["action"] for row in world.rows("SELECT action FROM audit_entries ORDER BY id")]
