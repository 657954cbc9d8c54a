"""Who is told and who is sent, and that a message says nothing about anybody."""

from __future__ import annotations

import pytest

from alerts.rules.actions import Annunciate
from alerts.rules.case import Circumstances
from alerts.sending.messages import LANGUAGES, case_link, render_texts
from alerts.sending.recipients import (
    PlannedMessage,
    Roster,
    idempotency_key,
    next_in_chain,
    plan_messages,
    visit_chain,
)
from kaimen.vocabulary import Role
from tests.unit.alerts.story import at

ALL = (Role.GRID_WORKER, Role.SAFETY_GUARDIAN, Role.NEIGHBOUR_WATCHER, Role.STAIRWELL_LIAISON)


def test_helpers_are_asked_in_their_order_and_the_desk_last() -> None:
    assert visit_chain(Circumstances(helpers=ALL), night=False) == (
        Role.NEIGHBOUR_WATCHER,
        Role.STAIRWELL_LIAISON,
        Role.SAFETY_GUARDIAN,
        Role.GRID_WORKER,
        Role.PROPERTY_CLERK,
    )


def test_by_night_the_desk_goes_first() -> None:
    assert visit_chain(Circumstances(helpers=ALL), night=True)[0] is Role.PROPERTY_CLERK


def test_a_chain_is_never_empty_and_comes_to_an_end() -> None:
    assert next_in_chain(Circumstances(), (), night=False) is Role.PROPERTY_CLERK
    assert next_in_chain(Circumstances(), {Role.PROPERTY_CLERK}, night=False) is None


def wanted(*, family: bool, outside: bool) -> Annunciate:
    roles = (Role.PROPERTY_CLERK, Role.POLICE_OFFICER)
    return Annunciate("visit", 0, at(), roles, family=family, outside=outside)


def test_family_is_told_only_where_the_roster_has_its_consent() -> None:
    roster = Roster("c1", family_user_ids=(7,), outside_channels=("webhook",))
    messages = plan_messages(wanted(family=True, outside=True), roster)
    assert messages == [
        PlannedMessage("community:c1/property_clerk", "console"),
        PlannedMessage("community:c1/police_officer", "console"),
        PlannedMessage("user:7", "console"),
        PlannedMessage("community:c1", "webhook"),
    ]
    inside = plan_messages(wanted(family=True, outside=False), Roster("c1", (), ("webhook",)))
    assert all(message.channel == "console" for message in inside)
    assert all(message.person.startswith("community:") for message in inside)


def test_a_key_is_one_for_each_case_step_person_channel_and_repetition() -> None:
    parts = {"case_id": 1, "step": "visit", "person": "user:7", "channel": "webhook", "repetition": 0}
    key = idempotency_key(**parts)  # type: ignore[arg-type]
    assert key == idempotency_key(**parts)  # type: ignore[arg-type]
    others = [
        {"case_id": 2},
        {"step": "call"},
        {"person": "user:8"},
        {"channel": "console"},
        {"repetition": 1},
    ]
    keys = {idempotency_key(**{**parts, **other}) for other in others}  # type: ignore[arg-type]
    assert len(keys | {key}) == len(others) + 1
    assert "user" not in key and "." not in key


def test_a_message_is_a_number_and_a_link_in_every_language() -> None:
    link = case_link("https://kaimen.example/", 7)
    texts = render_texts("case", number="2025-1117-001", link=link)
    assert set(texts) == set(LANGUAGES)
    for text in texts.values():
        assert "2025-1117-001" in text
        assert text.endswith("https://kaimen.example/cases/7")
        assert "$" not in text


def test_an_unknown_template_is_an_error() -> None:
    with pytest.raises(LookupError):
        render_texts("../../secret", number="1", link="x")
