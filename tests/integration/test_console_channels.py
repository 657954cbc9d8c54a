"""People's addresses in the console: binding with a proof, links for contacts, what providers call back."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from alerts.__main__ import note_channels
from alerts.channels import Channel
from alerts.channels.webhook import sign
from alerts.sending.addresses import AddressBook
from alerts.sending.courier import Courier
from console import binding
from console.app import create_app
from console.audit import chain as audit
from console.binding import Owner
from console.inbound import check_wechat
from console.words import load_catalogue
from kaimen.clock import ManualClock
from kaimen.database import transaction
from kaimen.settings import ConsoleSettings
from tests.integration.console_world import HOST, World, build_world
from tests.integration.providers import Provider, run_http
from tests.integration.test_channels_conformance import SUBJECTS, with_modes

pytestmark = [pytest.mark.slow, pytest.mark.one_store]

BY_NAME = {subject.name: subject for subject in SUBJECTS}
SECRET = "a-secret-of-more-than-24-characters"
WEBHOOK_SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
KEY = bytes(range(32))
TOPIC = "topic-of-the-daughter"


class Ways:
    """The console's world with an alerts service that has ntfy, SMS and WeChat."""

    def __init__(self, world: World, provider: Provider, channels: dict[str, Channel]) -> None:
        self.world, self.provider, self.channels = world, provider, channels

    def send(self) -> None:
        courier = Courier(
            self.world.pool, self.world.clock, self.channels, "k1", HOST, wall=self.world.wall,
            addresses=AddressBook(KEY),
        )  # fmt: skip
        while courier.send_one():
            pass

    def said(self) -> str:
        return str(self.provider.asked[-1].json["message"])

    def own(self) -> list[dict[str, Any]]:
        return self.world.rows("SELECT * FROM contact_channels ORDER BY id")

    def bind_topic(self, client: httpx.Client) -> int:
        assert self.world.post(client, "/my/channels/add", channel="ntfy", address=TOPIC).status_code == 303
        self.send()
        code = re.search(r"\b\d{6}\b", self.said())
        assert code is not None
        address_id = int(self.own()[-1]["id"])
        answer = self.world.post(client, f"/my/channels/{address_id}/prove", proof=code[0])
        assert answer.status_code == 303
        return address_id


@pytest.fixture
def ways(database_url: str, manual_clock: ManualClock, tmp_path: Path) -> Iterator[Ways]:
    world = build_world(database_url, manual_clock)
    key_file = tmp_path / "address-key"
    key_file.write_text(base64.b64encode(KEY).decode())
    settings = ConsoleSettings(
        database_url=database_url, public_url=HOST, address_key_file=key_file, inbound_secret=SecretStr(SECRET),
        inbound_community="wenchang", wechat_callback_token=SecretStr("t0ken"), alerts_webhook_secret=WEBHOOK_SECRET,
    )  # fmt: skip
    world.app = create_app(settings, world.clock, world.app_pool, wall=world.wall)
    answer = BY_NAME["ntfy"].answer
    assert answer is not None
    with run_http(with_modes(answer)) as provider:
        channels: dict[str, Channel] = {}
        for name in ("ntfy", "sms_aliyun", "wechat"):
            channel = BY_NAME[name].open(provider)
            assert channel is not None
            channels[name] = channel
        with transaction(world.pool) as connection:
            note_channels(connection, channels)
        yield Ways(world, provider, {"ntfy": channels["ntfy"]})
    world.close()


# --- binding -------------------------------------------------------------------------------------------------------


def test_an_address_is_hers_when_the_code_sent_to_it_came_back(ways: Ways) -> None:
    daughter = ways.world.browser("family")
    address_id = ways.bind_topic(daughter)
    row = ways.own()[0]
    assert row["id"] == address_id and row["confirmed_at"] is not None
    assert TOPIC.encode() not in bytes(row["address"])
    page = daughter.get("/my/channels").text
    assert TOPIC not in page and "top•••er" in page


def test_five_wrong_guesses_end_a_code(ways: Ways) -> None:
    daughter = ways.world.browser("family")
    ways.world.post(daughter, "/my/channels/add", channel="ntfy", address=TOPIC)
    ways.send()
    code = re.search(r"\b\d{6}\b", ways.said())
    assert code is not None
    address_id = ways.own()[0]["id"]
    for guess in range(5):
        wrong = f"{(int(code[0]) + 1 + guess) % 10**6:06d}"
        refused = ways.world.post(daughter, f"/my/channels/{address_id}/prove", proof=wrong)
        assert refused.status_code == 422 and load_catalogue("zh")["error.wrong_code"][0] in refused.text
    assert ways.world.post(daughter, f"/my/channels/{address_id}/prove", proof=code[0]).status_code == 422
    assert ways.own()[0]["confirmed_at"] is None
    assert f"/my/channels/{address_id}/code" in daughter.get("/my/channels").text
    assert ways.world.post(daughter, f"/my/channels/{address_id}/code").status_code == 303
    ways.send()
    (again,) = re.findall(r"\b\d{6}\b", ways.said())[-1:]
    assert ways.world.post(daughter, f"/my/channels/{address_id}/prove", proof=again).status_code == 303
    assert ways.own()[0]["confirmed_at"] is not None
    assert ways.world.post(daughter, f"/my/channels/{address_id}/code").status_code == 404, "it is hers"


@pytest.mark.parametrize(
    ("channel", "address"),
    [
        ("ntfy", "short"),
        ("sms_aliyun", "no number"),
        ("email", "a@b"),
        ("wechat", "openid"),
        ("nothing", "x"),
    ],
)
def test_what_is_no_address_is_refused_with_words(ways: Ways, channel: str, address: str) -> None:
    daughter = ways.world.browser("family")
    assert ways.world.post(daughter, "/my/channels/add", channel=channel, address=address).status_code == 422
    assert ways.own() == []


def test_nobody_reaches_another_person_s_address(ways: Ways) -> None:
    address_id = ways.bind_topic(ways.world.browser("family"))
    for name in ("family-b", "clerk", "admin", "police"):
        stranger = ways.world.browser(name)
        for act in ("prove", "prefer", "test", "end"):
            assert ways.world.post(stranger, f"/my/channels/{address_id}/{act}").status_code == 404
        assert TOPIC[:3] not in stranger.get("/my/channels").text
    assert ways.world.browser().get("/my/channels").status_code == 303
    assert ways.own()[0]["ended_at"] is None


def test_she_sets_her_hours_tests_and_takes_it_back(ways: Ways) -> None:
    daughter = ways.world.browser("family")
    address_id = ways.bind_topic(daughter)
    wanted = {
        "language": "en", "zone": "America/Toronto", "quiet_from": "22:00", "quiet_until": "07:30", "digest": "yes",
        "position": "2",
    }  # fmt: skip
    assert ways.world.post(daughter, f"/my/channels/{address_id}/prefer", **wanted).status_code == 303
    row = ways.own()[0]
    assert (row["language"], row["zone"], row["digest"], row["position"]) == (
        "en",
        "America/Toronto",
        True,
        2,
    )
    assert 'value="America/Toronto" selected' in daughter.get("/my/channels").text, (
        "though it is none of the usual"
    )
    for wrong in ({"zone": "Mars"}, {"quiet_from": "22:00"}, {"position": "0"}, {"language": "xx"}):
        refused = ways.world.post(daughter, f"/my/channels/{address_id}/prefer", **wrong)
        assert (
            refused.status_code == 422 and 'id="error-' in refused.text and "<details open>" in refused.text
        )
    kept = ways.world.post(daughter, f"/my/channels/{address_id}/prefer", quiet_from="22:00").text
    assert 'value="22:00"' in kept and 'name="digest" value="yes" checked' not in kept, "as she typed it"
    assert 'name="digest" value="yes" checked' in daughter.get("/my/channels").text
    for _ in range(4):
        assert ways.world.post(daughter, f"/my/channels/{address_id}/test").status_code == 303
    refused = ways.world.post(daughter, f"/my/channels/{address_id}/test")
    assert refused.status_code == 422, "five an hour"
    assert load_catalogue("zh")["error.too_many_attempts"][0] in refused.text
    assert ways.world.post(daughter, f"/my/channels/{address_id}/end").status_code == 303
    ended = ways.own()[0]
    assert ended["ended_at"] is not None and bytes(ended["address"]) == b"\x00", "what is removed is gone"
    actions = [row["action"] for row in ways.world.rows("SELECT action FROM audit_entries ORDER BY id")]
    assert actions == ["address_added", "address_confirmed", "address_ended"]


def test_no_form_about_addresses_is_taken_without_the_session_s_token(ways: Ways) -> None:
    daughter = ways.world.browser("family")
    assert daughter.post("/my/channels/add", data={"channel": "ntfy", "address": TOPIC}).status_code == 403
    clerk = ways.world.browser("clerk")
    assert clerk.post("/households/h-wang/contacts/p-son/invite").status_code == 403


# --- a contact without an account -----------------------------------------------------------------------------------


def test_the_desk_gives_a_contact_a_page_of_his_own_and_never_sees_the_address(ways: Ways) -> None:
    clerk = ways.world.browser("clerk")
    answer = ways.world.post(clerk, "/households/h-wang/contacts/p-son/invite")
    assert answer.status_code == 200 and "<svg" in answer.text
    link = re.search(r"/bind/[a-z2-7]{16}", answer.text)
    assert link is not None
    son = ways.world.browser()
    assert son.get(link[0]).status_code == 200
    assert (
        son.post(f"{link[0]}/add", data={"channel": "ntfy", "address": "topic-of-the-son"}).status_code == 303
    )
    ways.send()
    code = re.search(r"\b\d{6}\b", ways.said())
    assert code is not None
    address_id = ways.own()[0]["id"]
    assert son.post(f"{link[0]}/{address_id}/prove", data={"proof": code[0]}).status_code == 303
    assert ways.own()[0]["recipient"] == "person:p-son"
    page = clerk.get("/households/h-wang/contacts").text
    assert "topic" not in page and "王小明" not in page
    with transaction(ways.world.pool) as connection:
        assert audit.verify(connection, key=b"").sound


def test_invitations_are_the_own_community_s_and_of_real_contacts(ways: Ways) -> None:
    for name in ("clerk-b", "family", "police", "admin", "watcher"):
        stranger = ways.world.browser(name)
        answer = ways.world.post(stranger, "/households/h-wang/contacts/p-son/invite")
        assert answer.status_code in (403, 404)
    clerk = ways.world.browser("clerk")
    assert ways.world.post(clerk, "/households/h-wang/contacts/p-h-sun/invite").status_code == 404
    assert ways.world.rows("SELECT 1 FROM binding_codes") == []


def test_a_link_ends_after_three_days_and_a_guess_opens_nothing(ways: Ways) -> None:
    with transaction(ways.world.pool) as connection:
        wall = ways.world.app.state.services.wall_now()
        code = binding.make_code(connection, Owner(person_id="p-son"), "page", wall=wall, made_by="user:1")
    browser = ways.world.browser()
    assert browser.get(f"/bind/{'a' * 16}").status_code == 404
    assert browser.get("/bind/../admin").status_code in (303, 404)
    assert browser.get(f"/bind/{code}").status_code == 200
    other_site = browser.post(f"/bind/{code}/add", data={}, headers={"origin": "https://evil.example"})
    assert other_site.status_code == 403
    ways.world.wall.advance_to(ways.world.wall.now_ms() + 3 * 86_400_000 + 1)
    assert browser.get(f"/bind/{code}").status_code == 404


# --- a message's own page -------------------------------------------------------------------------------------------


def sent_message(ways: Ways, **columns: object) -> str:
    token = "abcdefghijklmnop"
    values = {"case_id": ways.world.case_ids["wang"], "template": "case", "state": "accepted", **columns}
    ways.world.write(
        "INSERT INTO outbox (case_id, path, step, person, channel, idempotency_key, template, state, created_at, not_before,"
        " token, provider_id) VALUES (%s, '/', 'visit', 'person:p-son', 'sms_aliyun', 'msg_1', %s, %s, now(), now(), %s, 'b1')",
        values["case_id"], values["template"], values["state"], token,
    )  # fmt: skip
    return token


def test_opening_the_page_confirms_nothing_and_saying_so_does(ways: Ways) -> None:
    token = sent_message(ways)
    browser = ways.world.browser()
    page = browser.get(f"/m/{token}")
    assert page.status_code == 200
    assert not [word for word in ("王秀英", "王*", "3-1-12", "1201", "h-wang", "文昌") if word in page.text]
    assert ways.world.rows("SELECT state FROM outbox WHERE token = %s", token)[0]["state"] == "accepted"
    assert browser.post(f"/m/{token}", headers={"origin": "https://evil.example"}).status_code == 403
    assert browser.post(f"/m/{token}").status_code == 200
    assert browser.post(f"/m/{token}").status_code == 200
    assert ways.world.rows("SELECT state FROM outbox WHERE token = %s", token)[0]["state"] == "confirmed"
    told = ways.world.rows("SELECT args FROM case_entries WHERE words = 'message_seen'")
    assert [row["args"] for row in told] == [{"channel": "sms_aliyun"}]


def test_an_unknown_message_and_a_code_s_own_have_no_page(ways: Ways) -> None:
    token = sent_message(ways, template="proof")
    browser = ways.world.browser()
    for path in (f"/m/{token}", f"/m/{'b' * 16}", "/m/short"):
        assert browser.get(path).status_code in (404, 422)
        assert browser.post(path).status_code in (404, 422)


# --- what providers call back ---------------------------------------------------------------------------------------


def test_receipts_of_text_messages_need_the_secret_of_the_address(ways: Ways) -> None:
    sent_message(ways)
    browser = ways.world.browser()
    report = [
        {"phone_number": "139", "success": False, "err_code": "UNDELIV<b>", "out_id": "msg_1", "biz_id": "b1"}
    ]
    assert browser.post("/in/sms-aliyun/guess", json=report).status_code == 403
    assert browser.post(f"/in/sms-aliyun/{SECRET}", content=b"{nonsense").status_code == 400
    assert browser.post(f"/in/sms-aliyun/{SECRET}", json=["x"]).status_code == 400
    answer = browser.post(f"/in/sms-aliyun/{SECRET}", json=report)
    assert (answer.status_code, answer.json()["code"]) == (200, 0)
    assert ways.world.rows("SELECT state FROM outbox")[0]["state"] == "failed_permanent"
    assert ways.world.rows("SELECT detail FROM receipts")[0]["detail"] == "UNDELIVb"
    unknown = [{"success": True, "out_id": "msg_of_nobody"}]
    assert browser.post(f"/in/sms-aliyun/{SECRET}", json=unknown).status_code == 200


def test_tencent_s_receipts_find_their_message_by_its_serial_number(ways: Ways) -> None:
    sent_message(ways)
    ways.world.write("UPDATE outbox SET channel = 'sms_tencent', provider_id = 'n1'")
    answer = ways.world.browser().post(
        f"/in/sms-tencent/{SECRET}", json=[{"sid": "n1", "report_status": "SUCCESS", "errmsg": "DELIVRD"}]
    )
    assert answer.json() == {"result": 0, "errmsg": "OK"}
    assert ways.world.rows("SELECT state FROM outbox")[0]["state"] == "delivered"


def test_without_a_secret_in_the_settings_the_doors_are_not_there(ways: Ways) -> None:
    ways.world.app = create_app(
        ConsoleSettings(database_url=ways.world.url, public_url=HOST), ways.world.clock, ways.world.app_pool
    )
    browser = ways.world.browser()
    for path in ("/in/sms-aliyun/", "/in/sms-aliyun/x", "/in/alertmanager", "/in/webhook", "/in/wechat"):
        assert browser.post(path, json=[]).status_code == 404


def wechat_query(ways: Ways, token: str = "t0ken") -> dict[str, str]:
    timestamp = str(ways.world.wall.now_ms() // 1000)
    signature = hashlib.sha1("".join(sorted((token, timestamp, "n1"))).encode()).hexdigest()
    return {"timestamp": timestamp, "nonce": "n1", "signature": signature}


def wechat_event(event: str, key: str = "", *, text: str = "") -> bytes:
    kind = "text" if text else "event"
    return (
        f"<xml><ToUserName><![CDATA[gh_1]]></ToUserName><FromUserName><![CDATA[openid-of-her]]></FromUserName>"
        f"<CreateTime>1</CreateTime><MsgType><![CDATA[{kind}]]></MsgType><Event><![CDATA[{event}]]></Event>"
        f"<EventKey><![CDATA[{key}]]></EventKey><Content><![CDATA[{text}]]></Content></xml>"
    ).encode()


@pytest.mark.parametrize("how", ["scan by a new follower", "scan by a follower", "text"])
def test_a_scan_or_a_text_binds_wechat_and_unfollowing_ends_it(ways: Ways, how: str) -> None:
    daughter = ways.world.browser("family")
    found = re.search(r"<b>([a-z2-7]{8})</b>", daughter.get("/my/channels").text)
    assert found is not None
    body = {
        "scan by a new follower": wechat_event("subscribe", f"qrscene_{found[1]}"),
        "scan by a follower": wechat_event("SCAN", found[1]),
        "text": wechat_event("", text=f" {found[1].upper()} "),
    }[how]
    browser = ways.world.browser()
    assert browser.post("/in/wechat", params=wechat_query(ways), content=body).status_code == 200
    assert [(row["channel"], row["confirmed_at"] is not None) for row in ways.own()] == [("wechat", True)]
    again = browser.post(
        "/in/wechat", params=wechat_query(ways), content=body.replace(b"of-her", b"of-thief")
    )
    assert again.text == "success" and len(ways.own()) == 1, "a code binds once"
    browser.post("/in/wechat", params=wechat_query(ways), content=wechat_event("unsubscribe"))
    assert ways.own()[0]["ended_at"] is not None


def test_wechat_s_calls_need_its_signature_of_now(ways: Ways) -> None:
    browser = ways.world.browser()
    query = wechat_query(ways)
    assert browser.get("/in/wechat", params={**query, "echostr": "hello"}).text == "hello"
    for wrong in ({"signature": "0" * 40}, {"timestamp": "1"}, {"nonce": "n2"}, {"timestamp": "x"}):
        assert browser.post("/in/wechat", params={**query, **wrong}, content=b"<xml/>").status_code == 403
    bomb = b'<!DOCTYPE x [<!ENTITY a "b">]><xml><FromUserName>&a;</FromUserName></xml>'
    assert browser.post("/in/wechat", params=query, content=bomb).status_code == 400
    assert not check_wechat("t0ken", query, now_s=int(query["timestamp"]) + 301)


def webhook_headers(ways: Ways, body: bytes) -> dict[str, str]:
    now_s = ways.world.wall.now_ms() // 1000
    signature = sign(bytes(range(32)), message_id="r1", timestamp_s=now_s, body=body)
    return {"webhook-id": "r1", "webhook-timestamp": str(now_s), "webhook-signature": f"v1,old {signature}"}


def test_a_receiver_of_webhooks_confirms_with_a_signature_of_its_own(ways: Ways) -> None:
    sent_message(ways)
    ways.world.write("UPDATE outbox SET channel = 'webhook'")
    body = json.dumps({"type": "message.confirmed", "data": {"id": "msg_1"}}).encode()
    browser = ways.world.browser()
    assert browser.post("/in/webhook", content=body).status_code == 403
    headers = webhook_headers(ways, body)
    assert browser.post("/in/webhook", content=body.replace(b"1", b"2"), headers=headers).status_code == 403
    assert browser.post("/in/webhook", content=body, headers=headers).status_code == 204
    assert ways.world.rows("SELECT state FROM outbox")[0]["state"] == "confirmed"
    for wrong in (b"{}", b"[]", b'{"type": "message.eaten", "data": {}}'):
        assert (
            browser.post("/in/webhook", content=wrong, headers=webhook_headers(ways, wrong)).status_code
            == 422
        )


def group(status: str, key: str = "{}:{alertname='DiskFull'}") -> dict[str, object]:
    return {
        "version": "4", "groupKey": key, "status": status, "receiver": "kaimen",
        "commonLabels": {"alertname": "Disk<b>Full"}, "alerts": [{"status": status, "fingerprint": "f1"}] * 10,
    }  # fmt: skip


def test_a_group_of_alerts_is_one_technical_case_until_it_is_resolved(ways: Ways) -> None:
    browser = ways.world.browser()
    headers = {"authorization": f"Bearer {SECRET}"}
    for wrong in ({}, {"authorization": "Bearer guess"}, {"authorization": f"Basic {SECRET}"}):
        assert browser.post("/in/alertmanager", json=group("firing"), headers=wrong).status_code == 403
    before = len(ways.world.rows("SELECT 1 FROM cases"))
    for _ in range(3):
        assert browser.post("/in/alertmanager", json=group("firing"), headers=headers).status_code == 200
    browser.post("/in/alertmanager", json=group("firing", "another"), headers=headers)
    opened = ways.world.rows("SELECT * FROM cases WHERE cause_key LIKE 'notice:%%' ORDER BY id")
    assert len(ways.world.rows("SELECT 1 FROM cases")) == before + 2
    assert opened[0]["cause_key"].startswith("notice:DiskbFull-")
    page = ways.world.browser("clerk").get(f"/cases/{opened[0]['id']}")
    assert page.status_code == 200 and "DiskbFull" in page.text and "technical.notice" not in page.text
    browser.post("/in/alertmanager", json=group("resolved"), headers=headers)
    states = [
        row["state"]
        for row in ways.world.rows("SELECT state FROM cases WHERE cause_key LIKE 'notice:%%' ORDER BY id")
    ]
    assert states == ["closed", "open"] or states == ["closed", "notified"]
    for bad in ({}, {"version": "3"}, [], {"version": "4", "status": "odd"}):
        assert browser.post("/in/alertmanager", json=bad, headers=headers).status_code == 422


def test_the_state_of_channels_is_for_administrators_and_shows_no_address(ways: Ways) -> None:
    ways.bind_topic(ways.world.browser("family"))
    page = ways.world.browser("admin").get("/admin/channels")
    assert page.status_code == 200 and "ntfy" in page.text and TOPIC not in page.text
    for name in ("clerk", "family", "police", "watcher"):
        assert ways.world.browser(name).get("/admin/channels").status_code == 403


def test_each_provider_has_an_address_of_its_own_that_is_renewed_and_shown_once(ways: Ways) -> None:
    world = ways.world
    desk = world.browser("admin")
    page = world.post(desk, "/admin/channels/sms_tencent/address")
    first = _shown(page.text)
    report = [{"sid": "nobody", "report_status": "SUCCESS"}]
    post = world.browser().post
    assert post(first, json=report).status_code == 200
    assert post(first[:-1] + ("a" if first[-1] != "a" else "b"), json=report).status_code == 403
    assert post(first.replace("tencent", "aliyun"), json=report).status_code == 403, "of one provider alone"
    assert first not in desk.get("/admin/channels").text
    second = _shown(world.post(desk, "/admin/channels/sms_tencent/address").text)
    assert first != second and len(second.rsplit("/", 1)[1]) >= 43
    assert [post(path, json=report).status_code for path in (first, second)] == [200, 200]
    world.wall.advance_to(world.wall.now_ms() + 49 * 3_600_000)
    assert [post(path, json=report).status_code for path in (first, second)] == [403, 200]
    third = _shown(world.post(world.browser("admin"), "/admin/channels/sms_tencent/address").text)
    world.post(world.browser("admin"), "/admin/channels/sms_tencent/address")
    assert post(second, json=report).status_code == 403, (
        "renewed twice, an address that was seen is gone at once"
    )
    assert post(third, json=report).status_code == 200
    assert first.rsplit("/", 1)[1] not in str(world.rows("SELECT * FROM inbound_paths"))
    assert world.post(world.browser("clerk"), "/admin/channels/sms_tencent/address").status_code == 403
    assert world.post(world.browser("admin"), "/admin/channels/wechat/address").status_code == 404


def _shown(text: str) -> str:
    found = re.search(r"<code>https?://[^/]+(/in/[^<]+)</code>", text)
    assert found is not None
    return found.group(1)
