"""Cloud telephones: requests to a provider on loopback and its signed or secret call-backs to a real console."""

from __future__ import annotations

import base64
import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from pydantic import SecretStr

from alerts.voice import aliyun, tencent, twilio
from alerts.voice.cloud import CloudGateway, Provider
from alerts.voice.gateway import (
    Answered,
    CallOrder,
    Cause,
    Digit,
    Ended,
    GatewayDownError,
    InvalidNumberError,
)
from console.app import create_app
from kaimen.clock import SystemClock
from kaimen.settings import AlertsSettings, ConsoleSettings
from tests.integration.console_world import AppTransport
from tests.integration.test_voice_answers import crossed, elder_and_family, key_of, lease
from tests.unit.alerts.town import Town, build_town

pytestmark = [pytest.mark.slow, pytest.mark.one_store]

SECRET = "s" * 40
TOKEN = "twilio-token"
PUBLIC = "https://kaimen.example"
OKAY = {
    "aliyun": {"Code": "OK", "CallId": "c-1"},
    "tencent": {"Response": {"SendStatus": {"CallId": "c-1"}}},
    "twilio": {"sid": "c-1"},
}


@dataclass
class Cloud:
    """A provider that answers as told: ``status`` and ``body``; 0 closes the line without a word."""

    port: int = 0
    status: int = 200
    body: object = None
    received: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    found = Cloud()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            found.received.append(
                (self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            )
            if found.status == 0:
                self.close_connection = True
                return
            text = json.dumps(found.body).encode()
            self.send_response(found.status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def provider(name: str, cloud: Cloud) -> Provider:
    settings = AlertsSettings(alerts_private_hosts=("127.0.0.1",), public_url=PUBLIC)
    url = f"http://127.0.0.1:{cloud.port}"
    templates = {"elder/zh": "T1", "bye": "T9"}
    if name == "aliyun":
        own = aliyun.Settings(
            access_key_id="id",
            access_key_secret=SecretStr("secret"),
            show_number="0571",
            templates=templates,
            url=url,
        )
        return aliyun.open_provider(settings, own)
    if name == "tencent":
        return tencent.open_provider(
            settings,
            tencent.Settings(
                secret_id="id", secret_key=SecretStr("secret"), app_id="app", templates=templates, url=url
            ),
        )
    return twilio.open_provider(
        settings,
        twilio.Settings(account_sid="AC1", auth_token=SecretStr(TOKEN), from_number="+1500", url=url),
    )


def order(key: str = "msg_1-1") -> CallOrder:
    return CallOrder(key, "13800138000", Path("unused.wav"), "12", "elder", "zh")


@pytest.mark.parametrize("name", OKAY)
def test_an_order_carries_its_key_and_nothing_about_anybody(name: str, cloud: Cloud) -> None:
    cloud.body = OKAY[name]
    report_key, provider_id = provider(name, cloud).call(order(), 1_763_000_000)
    assert provider_id == "c-1"
    assert report_key == ("c-1" if name == "tencent" else "msg_1-1")
    path, headers, body = cloud.received[0]
    said = (path + body.decode()).replace("%5F", "_")
    assert "msg_1-1" in said
    assert headers["authorization"].startswith(
        {"aliyun": "ACS3-HMAC-SHA256 ", "tencent": "TC3-HMAC-SHA256 ", "twilio": "Basic "}[name]
    )
    if name == "twilio":
        spoken = parse_qs(body.decode())["Twiml"][0]
        assert spoken.count("您都好，请按一。需要帮助，请按二。") == 2
        assert f'action="{PUBLIC}/voice/twilio/msg_1-1"' in spoken
    if name == "aliyun":
        values = {key: found[0] for key, found in parse_qs(urlsplit(path).query).items()}
        assert (values["MenuKeyMap.1.Key"], values["MenuKeyMap.2.Key"]) == ("1", "2")
        # What is spoken at a key comes before our commit: it may not thank for anything.
        assert values["MenuKeyMap.1.Code"] == values["ByeCode"] == "T9"


@pytest.mark.parametrize("name", OKAY)
@pytest.mark.parametrize(
    ("status", "body", "error", "uncertain"),
    [
        (200, "refused", InvalidNumberError, False),
        (503, {}, GatewayDownError, False),
        (0, {}, GatewayDownError, True),
        (200, [], GatewayDownError, True),
    ],
)
def test_no_provider_has_a_call_that_it_refused(
    name: str, cloud: Cloud, status: int, body: object, error: type[Exception], uncertain: bool
) -> None:
    refusals = {
        "aliyun": {"Code": "isv.MOBILE_NUMBER_ILLEGAL"},
        "tencent": {"Response": {"Error": {"Code": "InvalidParameterValue.CalledNumberVerifyFail"}}},
    }
    if body == "refused" and name == "twilio":
        status = 400
    cloud.status, cloud.body = status, refusals.get(name, {}) if body == "refused" else body
    gateway = CloudGateway(provider(name, cloud), "", lambda: 1_763_000_000)
    with pytest.raises(error) as raised:
        gateway.place(order())
    if isinstance(raised.value, GatewayDownError) and status == 0:
        assert raised.value.uncertain is uncertain


@pytest.fixture
def town(database_url: str) -> Iterator[Town]:
    with build_town(database_url) as town:
        yield town


@contextmanager
def console(town: Town, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    monkeypatch.setenv("KAIMEN_VOICE_CALLBACK_SECRET", SECRET)
    monkeypatch.setenv("KAIMEN_VOICE_TWILIO_AUTH_TOKEN", TOKEN)
    settings = ConsoleSettings(database_url=town.url, public_url=PUBLIC)
    app = create_app(settings, town.clock, town.pool, wall=SystemClock())
    with httpx.Client(transport=AppTransport(app), base_url=PUBLIC) as client:
        yield client


def rung(town: Town) -> tuple[str, str]:
    """A call of hers that a provider has; its key and its attempt's."""
    elder_and_family(town)
    crossed(town)
    work = lease(town)
    assert work is not None
    return work.key, work.attempt_key


def tell(client: httpx.Client, name: str, attempt_key: str, digit: str) -> httpx.Response:
    if name == "aliyun":
        report = {"out_id": attempt_key, "status_code": "200000", "dtmf": digit, "call_id": "c-1"}
        return client.post(f"/voice/aliyun/{SECRET}", json=[report])
    if name == "tencent":
        return client.post(
            f"/voice/tencent/{SECRET}", json={"voicekey_callback": {"callid": "c-1", "keypress": digit}}
        )
    fields = {"Digits": digit, "CallSid": "c-1"}
    url = twilio.report_url(PUBLIC, attempt_key)
    return client.post(f"/voice/twilio/{attempt_key}", content=urlencode(fields), headers={
        "Content-Type": "application/x-www-form-urlencoded", "X-Twilio-Signature": sign(url, fields),
    })  # fmt: skip


def sign(url: str, fields: dict[str, str], token: str = TOKEN) -> str:
    text = url + "".join(f"{name}{fields[name]}" for name in sorted(fields))
    return base64.b64encode(hmac.digest(token.encode(), text.encode(), "sha1")).decode()


@pytest.mark.parametrize("name", OKAY)
def test_a_reported_key_is_written_before_it_is_answered_and_once(
    name: str, town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, attempt_key = rung(town)
    town.rows("UPDATE call_attempts SET provider_id = 'c-1'")
    with console(town, monkeypatch) as client:
        for _ in range(2):
            answer = tell(client, name, attempt_key, "1")
            assert answer.status_code == 200
    assert town.row("SELECT state, effect FROM calls") == {"state": "answered", "effect": "phone_well"}
    assert len(town.rows("SELECT 1 FROM verified_contacts")) == 1
    if name == "twilio":
        assert "谢谢您。已经记下了。" in answer.text


def test_a_key_that_is_reported_after_the_dialler_gave_up_still_counts(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, attempt_key = rung(town)
    town.rows("UPDATE calls SET state = 'planned', lease_expires_at = NULL")
    with console(town, monkeypatch) as client:
        tell(client, "aliyun", attempt_key, "2")
    assert town.row("SELECT state, meaning FROM calls") == {"state": "answered", "meaning": "help"}


def test_whoever_does_not_know_the_secret_or_the_token_finds_nothing(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, attempt_key = rung(town)
    report = [{"out_id": attempt_key, "status_code": "200000", "dtmf": "1"}]
    fields = {"Digits": "1"}
    url = twilio.report_url(PUBLIC, attempt_key)
    with console(town, monkeypatch) as client:
        assert client.post(f"/voice/aliyun/{'x' * 40}", json=report).status_code == 404
        assert client.post(f"/voice/tencent/{SECRET[:-1]}", json={}).status_code == 404
        for signature in (
            "",
            sign(url, fields, "another"),
            sign(url + "x", fields),
            sign(url, {"Digits": "2"}),
        ):
            answer = client.post(
                f"/voice/twilio/{attempt_key}", content=urlencode(fields),
                headers={"Content-Type": "application/x-www-form-urlencoded", "X-Twilio-Signature": signature},
            )  # fmt: skip
            assert answer.status_code == 404
        monkeypatch.setenv("KAIMEN_VOICE_CALLBACK_SECRET", "short")
        assert client.post("/voice/aliyun/short", json=report).status_code == 404
    assert not town.rows("SELECT 1 FROM verified_contacts")
    assert not town.rows("SELECT 1 FROM call_reports")


def test_reports_become_events_of_the_call_that_waits_for_them(
    town: Town, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, attempt_key = rung(town)
    cloud.body = OKAY["aliyun"]
    gateway = CloudGateway(provider("aliyun", cloud), town.url, lambda: 1_763_000_000)
    call = gateway.place(order(attempt_key))
    assert gateway.place(order(attempt_key)) is call
    assert len(cloud.received) == 1
    assert call.next_event(0) is None
    with console(town, monkeypatch) as client:
        tell(client, "aliyun", attempt_key, "1")
    assert [call.next_event(1) for _ in range(4)] == [
        Answered(), Digit("1"), Ended(Cause.HUNG_UP, "hung_up"), Ended(Cause.HUNG_UP, "hung_up"),
    ]  # fmt: skip


def test_voice_mail_and_completed_are_nobodys_answer(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    key, attempt_key = rung(town)
    fields = {"CallStatus": "completed"}
    with console(town, monkeypatch) as client:
        url = twilio.report_url(PUBLIC, attempt_key)
        client.post(f"/voice/twilio/{attempt_key}", content=urlencode(fields), headers={
            "Content-Type": "application/x-www-form-urlencoded", "X-Twilio-Signature": sign(url, fields),
        })  # fmt: skip
        client.post(
            f"/voice/aliyun/{SECRET}",
            json=[{"out_id": attempt_key, "status_code": "200000", "duration": "15"}],
        )
    assert not town.rows("SELECT 1 FROM verified_contacts")
    assert key_of(town, "person:her") == key
    assert town.row("SELECT state FROM calls")["state"] == "leased"


@pytest.mark.parametrize(
    "body", [None, 1, "x", {}, [], [1, None, {}], {"voicekey_callback": 7}, {"voiceprompt_callback": {}}]
)
def test_no_report_breaks_the_reader(body: object) -> None:
    assert list(aliyun.parse_reports(body)) == []
    assert list(tencent.parse_reports(body)) == []
