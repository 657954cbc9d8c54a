"""Coming in with a code that was sent: relatives and residents do, nobody else, and nobody learns who is known here."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from alerts.__main__ import note_channels
from alerts.channels import Channel
from alerts.sending.addresses import AddressBook
from alerts.sending.courier import Courier
from console import binding
from console.app import create_app
from console.binding import Owner
from console.identity import sent_codes
from console.words import load_catalogue
from kaimen.clock import ManualClock
from kaimen.database import transaction
from kaimen.settings import ConsoleSettings
from tests.integration.console_world import HOST, PASSWORD, World, as_login, build_world
from tests.integration.providers import Provider, run_http
from tests.integration.test_channels_conformance import SUBJECTS, with_modes
from tests.integration.test_second_factor import enrol, form_token, pass_time, sign_in

pytestmark = [pytest.mark.slow, pytest.mark.one_store]

KEY = bytes(range(32))
PHONE = "139 0000 0001"
#: The provider takes one a minute for one number.
BETWEEN_TEXTS = timedelta(seconds=65)
WORDS = load_catalogue("zh")


class Street:
    """The console's world with an alerts service that sends text messages."""

    def __init__(self, world: World, provider: Provider, channel: Channel) -> None:
        self.world, self.provider, self.channel = world, provider, channel

    def know(
        self, name: str, phone: str = PHONE, *, added_by: str = "import", is_proven: bool = False
    ) -> int:
        with transaction(self.world.pool) as connection:
            address_id, _ = binding.add_address(
                connection, AddressBook(KEY), Owner(user_id=self.world.user_ids[name]), "sms_aliyun", phone,
                now=self.world.now, added_by=added_by, is_proven=is_proven,
            )  # fmt: skip
        return address_id

    def sent(self) -> list[str]:
        """The codes that have left the house by now."""
        courier = Courier(
            self.world.pool, self.world.clock, {"sms_aliyun": self.channel}, "k1", HOST, wall=self.world.wall,
            addresses=AddressBook(KEY),
        )  # fmt: skip
        while courier.send_one():
            pass
        return [json.loads(asked.query["TemplateParam"])["number"] for asked in self.provider.asked]

    def ask(self, client: httpx.Client, who: str) -> httpx.Response:
        csrf = form_token(client.get("/sign-in/sent").text)
        return client.post("/sign-in/sent", data={"csrf": csrf, "who": who})

    def give(self, client: httpx.Client, code: str) -> httpx.Response:
        page = client.get("/sign-in/sent/code")
        if page.status_code != 200:
            return page
        return client.post("/sign-in/sent/code", data={"csrf": form_token(page.text), "code": code})


@pytest.fixture
def street(database_url: str, manual_clock: ManualClock, tmp_path: Path) -> Iterator[Street]:
    world = build_world(database_url, manual_clock)
    key_file = tmp_path / "address-key"
    key_file.write_text(base64.b64encode(KEY).decode())
    rights = SecretStr(as_login(database_url, "kaimen_rights"))
    settings = ConsoleSettings(
        database_url=database_url, public_url=HOST, address_key_file=key_file, rights_database_url=rights
    )
    world.app = create_app(settings, world.clock, world.app_pool, wall=world.wall)
    (subject,) = (subject for subject in SUBJECTS if subject.name == "sms_aliyun")
    assert subject.answer is not None
    with run_http(with_modes(subject.answer)) as provider:
        channel = subject.open(provider)
        assert channel is not None
        with transaction(world.pool) as connection:
            note_channels(connection, {"sms_aliyun": channel})
        yield Street(world, provider, channel)
    world.close()


def other_than(code: str, by: int = 1) -> str:
    return f"{(int(code) + by) % 10**6:06d}"


@pytest.mark.parametrize("who", ["family", PHONE, "+8613900000001", "0086 139-0000-0001"])
def test_a_daughter_comes_in_with_the_code_sent_to_the_number_the_office_wrote_down(
    street: Street, who: str
) -> None:
    address_id = street.know("family")
    client = street.world.browser()
    assert "/sign-in/sent" in client.get("/sign-in").text
    assert street.ask(client, who).headers["location"] == "/sign-in/sent/code?next=/"
    (code,) = street.sent()
    answer = street.give(client, f"{code[:3]} {code[3:]}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/family")
    assert client.get("/family").status_code == 200
    (address,) = street.world.rows("SELECT confirmed_at FROM contact_channels WHERE id = %s", address_id)
    assert address["confirmed_at"] is not None, "who brought the code reads what is sent there"
    (entry,) = street.world.rows("SELECT detail FROM audit_entries WHERE action = 'signed_in'")
    assert entry["detail"] == {"way": "sent_code"}
    assert street.world.rows("SELECT 1 FROM outbox WHERE args::text LIKE %s", f"%{code}%") == []
    client.cookies.delete("__Host-kaimen_session")
    assert street.give(client, code).status_code == 303, "once"
    assert client.get("/family").headers["location"].startswith("/sign-in")


def test_a_code_opens_only_in_the_browser_that_asked_and_only_for_ten_minutes(street: Street) -> None:
    street.know("family", is_proven=True)
    client, other = street.world.browser(), street.world.browser()
    street.ask(client, "family")
    (code,) = street.sent()
    street.ask(other, "a stranger")
    assert street.give(other, code).status_code == 401
    pass_time(street.world, sent_codes.CODE_LIVES)
    assert street.give(client, code).headers["location"] == "/sign-in/sent?next=/"
    assert street.world.rows("SELECT 1 FROM sessions") == []


def test_what_is_answered_never_tells_whether_somebody_is_known(street: Street) -> None:
    street.know("family")
    pages = []
    for who in ("family", "nobody-here", "13911112222", "clerk"):
        client = street.world.browser()
        asked = street.ask(client, who)
        refused = [street.give(client, "nothing") for _ in range(sent_codes.TRIES_MAX + 1)]
        pages.append(
            [asked.status_code, asked.headers["location"]]
            + [answer.status_code for answer in refused]
            + [re.sub("[0-9a-f]{64}", "", answer.text) for answer in refused]
        )
    assert pages[1:] == pages[:1] * 3
    assert len(street.sent()) == 1


def test_nor_does_the_cookie_of_a_browser_that_asks_for_several(street: Street) -> None:
    street.know("family", is_proven=True)
    changes = []
    for who in ("family", "nobody-here"):
        client, seen = street.world.browser(), []
        for typed in ("a stranger", who, who, "a stranger", *[who] * 3):
            before = client.cookies.get("kaimen_sent")
            street.ask(client, typed)
            seen.append(client.cookies.get("kaimen_sent") != before)
        for _ in range(2 * sent_codes.PERSON_HOUR_MAX):  # past her limit too
            pass_time(street.world, BETWEEN_TEXTS)
            street.ask(client, who)
            before = client.cookies.get("kaimen_sent")
            street.ask(client, who)
            seen.append(client.cookies.get("kaimen_sent") != before)
        changes.append(seen)
    assert changes[0] == changes[1]


@pytest.mark.parametrize("name", ["clerk", "police", "admin"])
def test_staff_and_police_are_never_sent_one(street: Street, name: str) -> None:
    street.know(name, is_proven=True)
    client = street.world.browser()
    street.ask(client, name)
    street.ask(client, PHONE)
    assert street.sent() == []


def test_a_number_somebody_typed_herself_counts_when_its_code_came_back(street: Street) -> None:
    street.know("family", added_by="self")
    street.ask(street.world.browser(), PHONE)
    assert street.sent() == []


def test_whose_page_a_shared_number_would_open_is_not_guessed(street: Street) -> None:
    street.know("family")
    street.know("resident")
    client = street.world.browser()
    street.ask(client, PHONE)
    assert street.sent() == []
    street.ask(client, "resident")
    (code,) = street.sent()
    assert street.give(client, code).headers["location"] == "/resident"


def test_a_number_that_was_taken_back_in_between_opens_nothing(street: Street) -> None:
    address_id = street.know("family")
    client = street.world.browser()
    street.ask(client, "family")
    (code,) = street.sent()
    street.world.write("UPDATE contact_channels SET ended_at = now() WHERE id = %s", address_id)
    assert street.give(client, code).status_code == 401


def test_five_wrong_ones_end_a_code_and_she_is_told_of_them(street: Street) -> None:
    street.know("family")
    client = street.world.browser()
    street.ask(client, "family")
    (code,) = street.sent()
    for guess in range(sent_codes.TRIES_MAX):
        assert street.give(client, other_than(code, 1 + guess)).status_code == 401
    assert street.give(client, code).headers["location"] == "/sign-in/sent?next=/"
    street.ask(client, "family")
    pass_time(street.world, BETWEEN_TEXTS)
    answer = street.give(client, street.sent()[-1])
    assert answer.headers["location"] == "/family"
    assert answer.cookies["kaimen_notice"] == "notice.failed_before"


def test_nobody_is_sent_more_than_a_few(street: Street) -> None:
    street.know("family")
    client = street.world.browser()
    for _ in range(3):
        street.ask(client, "family")
    assert len(street.sent()) == 1, "it is on its way, and the one in her hand stays good"
    assert street.give(client, other_than(street.sent()[0])).status_code == 401
    for _ in range(2 * sent_codes.PERSON_HOUR_MAX):
        pass_time(street.world, BETWEEN_TEXTS)
        assert street.ask(street.world.browser(), PHONE).status_code == 303
        street.sent()
    assert len(street.sent()) == sent_codes.PERSON_HOUR_MAX
    for _ in range(2 * sent_codes.PERSON_DAY_MAX):
        pass_time(street.world, timedelta(minutes=40))
        street.ask(street.world.browser(), "family")
        street.sent()
    assert len(street.sent()) == sent_codes.PERSON_DAY_MAX


def test_those_who_share_a_number_share_what_is_sent_to_it(street: Street) -> None:
    street.know("family")
    street.know("resident")
    for name in ("family", "resident", "family", "resident"):
        pass_time(street.world, BETWEEN_TEXTS)
        street.ask(street.world.browser(), name)
        street.sent()
    assert len(street.sent()) == sent_codes.PERSON_HOUR_MAX


def test_one_place_waits_and_others_do_not(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sent_codes, "PLACE_HOUR_MAX", 2)
    street.know("family")
    for who in ("one", "two"):
        assert street.ask(street.world.browser(), who).status_code == 303
    refused = street.ask(street.world.browser(), "family")
    assert refused.status_code == 429 and WORDS["error.wait_a_little"][0] in refused.text
    assert street.ask(street.world.browser(address="198.51.100.9"), "family").status_code == 303


def test_a_first_password_that_was_handed_over_ends_unused(street: Street) -> None:
    street.know("family")
    street.world.write("UPDATE users SET password_due = true WHERE name = 'family'")
    client = street.world.browser()
    street.ask(client, "family")
    street.give(client, street.sent()[0])
    assert client.get("/family").status_code == 200, "she need not know it to go on"
    assert sign_in(street.world.browser(), "family", PASSWORD).status_code == 401


def test_who_has_a_second_step_is_asked_for_it(street: Street) -> None:
    enrol(street.world, "family")
    street.know("family")
    client = street.world.browser()
    street.ask(client, "family")
    assert street.give(client, street.sent()[0]).headers["location"] == "/sign-in/code?next=/"
    assert client.get("/family").status_code == 303


def test_without_a_channel_that_takes_a_text_it_is_not_offered(street: Street) -> None:
    street.world.write("UPDATE channel_states SET opened_at = NULL")
    client = street.world.browser()
    assert "/sign-in/sent" not in client.get("/sign-in").text
    assert client.get("/sign-in/sent").status_code == 404


# --- The desk opens it -------------------------------------------------------------------------------------------


SON = "/households/h-wang/contacts/p-son"


@pytest.fixture
def known_son(street: Street) -> Street:
    street.world.write("DELETE FROM person_identities WHERE person_id = 'p-son'")
    street.world.write("INSERT INTO person_identities VALUES ('p-son', '王小明', %s)", PHONE)
    street.world.write("DELETE FROM phone_changes WHERE person_id = 'p-son'")  # he has had it all along
    return street


def test_the_desk_opens_a_relatives_sign_in_and_he_comes_in_with_his_number_alone(known_son: Street) -> None:
    clerk = known_son.world.browser("clerk")
    assert f"{SON}/sign-in" in clerk.get("/households/h-wang/contacts").text
    opened = known_son.world.post(clerk, f"{SON}/sign-in")
    assert opened.status_code == 200 and f"{HOST}/sign-in/sent" in opened.text
    assert "139****0001" in opened.text and "王小明" not in opened.text
    (user,) = known_son.world.rows("SELECT * FROM users WHERE contact_id = 'p-son'")
    assert (user["role"], user["community_id"], user["display_name"]) == ("family", "wenchang", "王小明")
    son = known_son.world.browser()
    known_son.ask(son, PHONE)
    assert known_son.give(son, known_son.sent()[0]).headers["location"] == "/family"
    assert "3-1-1201" in son.get("/family").text or "王" in son.get("/family").text
    assert son.get("/households/h-zhao").status_code in (403, 404)
    again = known_son.world.post(clerk, f"{SON}/sign-in")
    assert (
        again.status_code == 200
        and len(known_son.world.rows("SELECT 1 FROM users WHERE role = 'family'")) == 3
    )
    actions = [row["action"] for row in known_son.world.rows("SELECT action FROM audit_entries ORDER BY id")]
    assert actions.count("relative_sign_in_opened") == 2


def test_what_the_desk_ends_is_over_at_once_and_what_the_resident_blocked_stays_blocked(
    known_son: Street,
) -> None:
    clerk, son = known_son.world.browser("clerk"), known_son.world.browser()
    known_son.world.post(clerk, f"{SON}/sign-in")
    known_son.ask(son, PHONE)
    known_son.give(son, known_son.sent()[0])
    assert son.get("/family").status_code == 200
    assert known_son.world.post(clerk, f"{SON}/sign-in/end").status_code == 303
    assert son.get("/family").status_code == 303, "signed out"
    pass_time(known_son.world, timedelta(minutes=5))
    known_son.ask(son, PHONE)
    assert len(known_son.sent()) == 1, "and sent no code any more"
    known_son.world.post(clerk, f"{SON}/sign-in")
    known_son.world.write(
        "UPDATE user_households SET blocked_at = now() WHERE user_id = (SELECT id FROM users WHERE contact_id = 'p-son')"
    )
    known_son.world.post(clerk, f"{SON}/sign-in/end")
    known_son.world.post(clerk, f"{SON}/sign-in")
    (tie,) = known_son.world.rows(
        "SELECT blocked_at FROM user_households t JOIN users u ON u.id = t.user_id WHERE u.contact_id = 'p-son'"
    )
    assert tie["blocked_at"] is not None


def test_a_number_that_is_no_longer_his_opens_nothing(known_son: Street) -> None:
    clerk, now = known_son.world.browser("clerk"), known_son.world.now
    known_son.world.post(clerk, f"{SON}/sign-in")
    known_son.world.write("UPDATE person_identities SET phone = '139 0000 0002' WHERE person_id = 'p-son'")
    known_son.ask(known_son.world.browser(), PHONE)
    assert len(known_son.sent()) == 1, "until two people have said that the new one counts, the old one does"
    known_son.world.write(
        "UPDATE phone_changes SET told_at = %s, told_by = %s, confirmed_at = %s, confirmed_by = %s,"
        " trusted_from = %s WHERE person_id = 'p-son' AND NOT settled",
        now, known_son.world.user_ids["clerk"], now, known_son.world.user_ids["admin"], now,
    )  # fmt: skip
    pass_time(known_son.world, BETWEEN_TEXTS)
    known_son.ask(known_son.world.browser(), PHONE)
    assert len(known_son.sent()) == 1
    known_son.world.post(clerk, f"{SON}/sign-in")
    known_son.ask(known_son.world.browser(), "139 0000 0002")
    assert len(known_son.sent()) == 2
    known_son.world.write("UPDATE person_identities SET phone = NULL WHERE person_id = 'p-son'")
    pass_time(known_son.world, BETWEEN_TEXTS)
    known_son.ask(known_son.world.browser(), "139 0000 0002")
    assert len(known_son.sent()) == 2


def test_whom_nobody_asks_any_more_about_a_home_sees_it_no_more(known_son: Street) -> None:
    clerk, son = known_son.world.browser("clerk"), known_son.world.browser()
    known_son.world.post(clerk, f"{SON}/sign-in")
    known_son.ask(son, PHONE)
    known_son.give(son, known_son.sent()[0])
    left = known_son.world.post(clerk, "/households/h-wang/books/contacts/p-son/leave", role="family")
    assert left.status_code == 303 and son.get("/family").status_code == 303


def test_without_the_residents_word_or_on_a_changed_number_nothing_is_opened(known_son: Street) -> None:
    clerk = known_son.world.browser("clerk")
    known_son.world.write("UPDATE consents SET withdrawn_at = now() WHERE purpose = 'notify_family'")
    assert f"{SON}/sign-in" not in clerk.get("/households/h-wang/contacts").text
    assert known_son.world.post(clerk, f"{SON}/sign-in").status_code == 422
    known_son.world.write("UPDATE consents SET withdrawn_at = NULL WHERE purpose = 'notify_family'")
    known_son.world.write("UPDATE person_identities SET phone = '139 0000 0002' WHERE person_id = 'p-son'")
    assert known_son.world.rows("SELECT 1 FROM phone_changes WHERE person_id = 'p-son' AND NOT settled")
    assert known_son.world.post(clerk, f"{SON}/sign-in").status_code == 422
    assert known_son.world.rows("SELECT 1 FROM users WHERE contact_id IS NOT NULL") == []


@pytest.mark.parametrize("name", ["clerk-b", "admin", "police", "family", "director"])
def test_nobody_but_the_homes_own_desk_opens_it(known_son: Street, name: str) -> None:
    person = known_son.world.browser(name)
    for act in ("sign-in", "sign-in/end"):
        assert known_son.world.post(person, f"{SON}/{act}").status_code in (403, 404)
    assert known_son.world.rows("SELECT 1 FROM users WHERE contact_id IS NOT NULL") == []
