"""How long somebody waits who failed: slowly more, bounded, and never for ever; what a token opens; pure."""

from __future__ import annotations

from datetime import timedelta

import pytest

from console.api.scopes import NEEDED, SESSIONS_ALONE, Scope, may_use, offered_to
from console.identity import attempts
from console.identity.attempts import FAILURES_FREE, WAIT_MAX, address_group, wait_after
from kaimen.vocabulary import Role


def test_the_first_failures_cost_nothing_and_the_wait_grows_slowly_to_its_bound() -> None:
    waits = [wait_after(count) for count in range(1_000)]
    assert set(waits[:FAILURES_FREE]) == {timedelta(0)}
    assert waits[FAILURES_FREE] == attempts.WAIT_FIRST
    assert waits == sorted(waits) and waits[-1] == WAIT_MAX


@pytest.mark.parametrize(
    ("address", "group"),
    [
        ("192.0.2.7", "192.0.2.7"), ("2001:db8:1:2:3::9", "2001:db8:1:2::/64"), ("nonsense", "unknown"),
    ],
)  # fmt: skip
def test_one_place_of_the_network_is_one_address_or_one_ipv6_net(address: str, group: str) -> None:
    assert address_group(address) == group


def test_a_scope_opens_its_addresses_and_no_other() -> None:
    assert may_use("GET", "/api/cases", ["read:cases"])
    assert may_use("HEAD", "/api/cases", ["read:cases"])
    assert not may_use("POST", "/api/cases/{case_id}/claim", ["read:cases"])
    assert not may_use("GET", "/api/cases", ["write:acts"])
    assert not may_use("GET", "/api/households", [])
    assert may_use("GET", "/api/me", [])


def test_no_token_ends_sessions_or_opens_what_nobody_listed() -> None:
    every = [scope.value for scope in Scope]
    for method, route in SESSIONS_ALONE:
        assert not may_use(method, route, every)
    assert not may_use("GET", "/alarms", every)
    assert not may_use("GET", "", every)


def test_every_address_of_the_api_has_its_scope() -> None:
    from console.api.routes import ROUTERS

    routes = {
        (method, route.path)
        for router in ROUTERS
        for route in router.routes
        for method in route.methods - {"HEAD"}  # type: ignore[attr-defined]
    }
    assert routes == set(NEEDED) | SESSIONS_ALONE


def test_who_judges_and_who_agrees_gives_nothing_to_a_program() -> None:
    assert offered_to(Role.AUDITOR) == offered_to(Role.POLICE_SUPERVISOR) == offered_to(Role.RESIDENT) == ()
    assert Scope.WRITE_ACTS not in offered_to(Role.FAMILY)
