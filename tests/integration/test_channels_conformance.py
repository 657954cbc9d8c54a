"""Every channel against its provider as documented: accepted, refused in a body of status 200, throttled, silent, gone.

A channel that is new has to be added to ``SUBJECTS``; the last test says which one is missing.
"""

from __future__ import annotations

import json
import pkgutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
from pydantic import SecretStr

import alerts.channels
from alerts.channels import AfterDoubt, Channel, DeliveryError, Finds, Lane, Message, Receipt, traits_of
from alerts.channels import alertmanager as alertmanager_channel
from alerts.channels import apprise as apprise_channel
from alerts.channels import dingtalk as dingtalk_channel
from alerts.channels import email as email_channel
from alerts.channels import feishu as feishu_channel
from alerts.channels import ntfy as ntfy_channel
from alerts.channels import sia_dc09 as sia_channel
from alerts.channels import sms_aliyun as aliyun_channel
from alerts.channels import sms_tencent as tencent_channel
from alerts.channels import webhook as webhook_channel
from alerts.channels import wechat as wechat_channel
from alerts.channels import wecom_app as wecom_app_channel
from alerts.channels import wecom_bot as wecom_bot_channel
from alerts.sending.messages import render_texts
from kaimen.settings import AlertsSettings
from tests.integration.providers import Answer, Asked, Provider, run_http, run_mail, run_receiver_centre

pytestmark = pytest.mark.slow

KEY = "msg_0123456789abcdef0123456789abcdef01234567"
NUMBER = "2025-1117-001"
LINK = "https://kaimen.example/m/abcdefghijklmnop"
SECRET = "s3cret-of-the-provider"
WITHIN_S = 0.6
MESSAGE = Message(
    key=KEY, person="user:7", number=NUMBER, link=LINK,
    texts=render_texts("case", number=NUMBER, link=LINK), sent_s=1_763_341_200, lane=Lane.LIFE,
)  # fmt: skip


def settings_for(**further: Any) -> AlertsSettings:
    return AlertsSettings(alerts_private_hosts=("127.0.0.1",), alerts_answer_within_s=WITHIN_S, **further)


@dataclass(frozen=True)
class Subject:
    """A channel with its provider: ``open`` takes the provider; ``codes`` are refusals told with status 200."""

    name: str
    open: Callable[[Provider], Channel | None]
    answer: Callable[[Asked, Provider], Answer] | None
    address: str = ""
    #: mode -> (permanent, throttled) of what the body of status 200 says.
    codes: dict[str, tuple[bool, bool]] | None = None
    key_of: Callable[[Any], str] = lambda asked: ""
    run: Callable[[], AbstractContextManager[Provider]] | None = None
    #: Modes with their own meaning; the others are HTTP statuses.
    statuses: tuple[str, ...] = ("400", "401", "429", "500", "503")

    @contextmanager
    def running(self) -> Iterator[tuple[Channel, Provider, Message]]:
        if self.run is not None:
            context = self.run()
        else:
            assert self.answer is not None
            context = run_http(with_modes(self.answer))
        with context as provider:
            channel = self.open(provider)
            assert channel is not None
            yield channel, provider, replace(MESSAGE, address=self.address)


def with_modes(answer: Callable[[Asked, Provider], Answer]) -> Callable[[Asked, Provider], Answer]:
    def answer_as_told(asked: Asked, provider: Provider) -> Answer:
        is_token = asked.path in ("/cgi-bin/gettoken", "/cgi-bin/stable_token")
        if is_token:
            return 200, {}, {"errcode": 0, "access_token": "t0ken", "expires_in": 7_200}
        provider.asked.append(asked)
        match provider.mode:
            case "silent":
                return -1, {}, b""
            case "reset":
                return -2, {}, b""
            case "garbage":
                return 200, {}, b"<html>sign in to the hotel's network</html>"
            case "empty":
                return 200, {}, {}
            case "429":
                return 429, {"Retry-After": "7"}, {}
            case mode if mode.isdigit() and len(mode) == 3:
                return int(mode), {}, {}
        return answer(asked, provider)

    return answer_as_told


def errcode(asked: Asked, provider: Provider) -> Answer:
    """WeCom, DingTalk and WeChat: ``errcode`` in a body of status 200."""
    if provider.mode == "ok":
        return 200, {}, {"errcode": 0, "errmsg": "ok", "msgid": "m1"}
    if provider.mode == "invaliduser":
        return 200, {}, {"errcode": 0, "errmsg": "ok", "invaliduser": "li.mei", "msgid": "m1"}
    return 200, {}, {"errcode": int(provider.mode.removeprefix("code:")), "errmsg": "refused"}


def feishu(asked: Asked, provider: Provider) -> Answer:
    if provider.mode == "ok":
        return 200, {}, {"code": 0, "msg": "success", "StatusCode": 0}
    return 200, {}, {"code": int(provider.mode.removeprefix("code:")), "msg": "refused", "data": {}}


def aliyun(asked: Asked, provider: Provider) -> Answer:
    assert asked.headers["authorization"].startswith("ACS3-HMAC-SHA256 Credential=key-id,")
    if asked.headers["x-acs-action"] == "QuerySendDetails":
        rows = [{"OutId": key, "SendStatus": 3, "ErrCode": "DELIVERED"} for key in provider.known]
        return 200, {}, {"Code": "OK", "SmsSendDetailDTOs": {"SmsSendDetailDTO": rows}}
    if provider.mode == "ok":
        provider.known.add(asked.query["OutId"])
        return 200, {}, {"Code": "OK", "Message": "OK", "BizId": "b1"}
    return 200, {}, {"Code": provider.mode.removeprefix("code:"), "Message": "refused"}


def tencent(asked: Asked, provider: Provider) -> Answer:
    assert asked.headers["authorization"].startswith("TC3-HMAC-SHA256 Credential=key-id/")
    if asked.headers["x-tc-action"] == "PullSmsSendStatusByPhoneNumber":
        rows = [
            {"SessionContext": key, "ReportStatus": "SUCCESS", "SerialNo": "n1"} for key in provider.known
        ]
        return 200, {}, {"Response": {"PullSmsSendStatusSet": rows, "RequestId": "r"}}
    code = provider.mode.removeprefix("code:")
    if provider.mode == "ok":
        provider.known.add(asked.json["SessionContext"])
    if code.startswith("AuthFailure"):
        return 200, {}, {"Response": {"Error": {"Code": code, "Message": "refused"}, "RequestId": "r"}}
    row = {"Code": "Ok" if provider.mode == "ok" else code, "SerialNo": "n1", "SessionContext": KEY}
    return 200, {}, {"Response": {"SendStatusSet": [row], "RequestId": "r"}}


def ntfy(asked: Asked, provider: Provider) -> Answer:
    if provider.mode == "ok":
        return 200, {}, {"id": "n1", "event": "message"}
    return 200, {}, {"code": 40301, "http": 403, "error": "forbidden"}


def plain(asked: Asked, provider: Provider) -> Answer:
    return 200, {}, b""


def open_email(provider: Provider) -> Channel | None:
    own = email_channel.Settings(
        host="127.0.0.1", port=provider.port, security="plain", sender="kaimen@property.example"
    )
    return email_channel.open_channel(settings_for(), own)


def open_aliyun(provider: Provider) -> Channel | None:
    own = aliyun_channel.Settings(
        url=provider.url, access_key_id="key-id", access_key_secret=SecretStr(SECRET), sign_name="开门",
        template_code="SMS_1",
    )  # fmt: skip
    return aliyun_channel.open_channel(settings_for(), own)


def open_tencent(provider: Provider) -> Channel | None:
    own = tencent_channel.Settings(
        url=provider.url, secret_id="key-id", secret_key=SecretStr(SECRET), app_id="1400", sign_name="开门",
        template_id="7",
    )  # fmt: skip
    return tencent_channel.open_channel(settings_for(), own)


def open_webhook(provider: Provider) -> Channel | None:
    secret = "whsec_" + "A" * 43 + "="
    return webhook_channel.open_channel(
        settings_for(alerts_webhook_url=f"{provider.url}/hook", alerts_webhook_secret=secret)
    )


SUBJECTS = [
    Subject(
        "wecom_bot",
        lambda p: wecom_bot_channel.open_channel(
            settings_for(), wecom_bot_channel.Settings(url=p.url, key=SecretStr(SECRET))
        ),
        errcode,
        codes={"code:93000": (True, False), "code:45009": (False, True), "code:-1": (False, False)},
    ),
    Subject(
        "wecom_app",
        lambda p: wecom_app_channel.open_channel(
            settings_for(),
            wecom_app_channel.Settings(url=p.url, corp_id="corp", secret=SecretStr(SECRET), agent_id=7),
        ),
        errcode,
        address="li.mei",
        codes={
            "code:60020": (True, False), "code:45009": (False, True), "code:42001": (False, False),
            "invaliduser": (True, False),
        },
        key_of=lambda asked: asked.json["text"]["content"],
    ),
    Subject(
        "dingtalk",
        lambda p: dingtalk_channel.open_channel(
            settings_for(),
            dingtalk_channel.Settings(url=p.url, token=SecretStr("t0ken"), secret=SecretStr(SECRET)),
        ),
        errcode,
        codes={"code:310000": (True, False), "code:130101": (False, True), "code:-1": (False, False)},
    ),
    Subject(
        "feishu",
        lambda p: feishu_channel.open_channel(
            settings_for(),
            feishu_channel.Settings(url=p.url, token=SecretStr("t0ken"), secret=SecretStr(SECRET)),
        ),
        feishu,
        codes={"code:9499": (True, False), "code:19021": (True, False), "code:11232": (False, True)},
    ),
    Subject(
        "wechat",
        lambda p: wechat_channel.open_channel(
            settings_for(),
            wechat_channel.Settings(url=p.url, app_id="wx1", app_secret=SecretStr(SECRET), template_id="tpl"),
        ),
        errcode,
        address="openid-of-nobody",
        codes={
            "code:43101": (True, False), "code:40003": (True, False), "code:45009": (False, True),
            "code:42001": (False, False),
        },
    ),
    Subject(
        "sms_aliyun", open_aliyun, aliyun,
        address="139 0000 0001",
        codes={
            "code:isv.MOBILE_NUMBER_ILLEGAL": (True, False),
            "code:isv.BUSINESS_LIMIT_CONTROL": (False, True),
            "code:isp.SYSTEM_ERROR": (False, False),
        },
        key_of=lambda asked: asked.query["OutId"],
    ),
    Subject(
        "sms_tencent", open_tencent, tencent,
        address="+86 139 0000 0001",
        codes={
            "code:InvalidParameterValue.IncorrectPhoneNumber": (True, False),
            "code:AuthFailure.SignatureFailure": (True, False),
            "code:LimitExceeded.PhoneNumberThirtySecondLimit": (False, True),
            "code:InternalError.Timeout": (False, False),
        },
        key_of=lambda asked: asked.json["SessionContext"],
    ),
    Subject(
        "ntfy",
        lambda p: ntfy_channel.open_channel(
            settings_for(), ntfy_channel.Settings(url=p.url, token=SecretStr(SECRET))
        ),
        ntfy,
        address="topic-of-nobody",
        codes={"code:40301": (True, False)},
    ),
    Subject("webhook", open_webhook, plain, key_of=lambda asked: asked.headers["webhook-id"]),
    Subject(
        "alertmanager",
        lambda p: alertmanager_channel.open_channel(
            settings_for(), alertmanager_channel.Settings(url=p.url, token=SecretStr(SECRET))
        ),
        plain,
        key_of=lambda asked: str(asked.json[0]["labels"]),
    ),
    Subject(
        "sia_dc09",
        lambda p: sia_channel.open_channel(
            settings_for(), sia_channel.Settings(host="127.0.0.1", port=p.port, account="1234")
        ),
        None,
        run=run_receiver_centre,
        codes={"refused": (True, False), "nak": (False, False)},
        key_of=lambda frame: frame.decode(),
        statuses=(),
    ),
    Subject(
        "email", open_email, None,
        address="daughter@mail.example",
        run=run_mail,
        codes={"550": (True, False), "554": (True, False), "450": (False, False), "421": (False, True)},
        key_of=lambda mail: next(
            line for line in mail.decode().splitlines() if line.lower().startswith("message-id")
        ),
        statuses=(),
    ),
]  # fmt: skip
#: The console needs no provider; Apprise is informational and has tests of its own below; a call hands over to the
#: dialler, whose providers are measured in test_voice_*.py.
OTHERS = {"console", "apprise", "voice_call"}
IDS = [subject.name for subject in SUBJECTS]
REFUSALS = [
    pytest.param(subject, mode, *expected, id=f"{subject.name}-{mode}")
    for subject in SUBJECTS
    for mode, expected in (subject.codes or {}).items()
]
STATUSES = [
    pytest.param(subject, status, id=f"{subject.name}-{status}")
    for subject in SUBJECTS
    for status in subject.statuses
]
WITH_BODY = [subject for subject in SUBJECTS if subject.codes is not None]

subjects = pytest.mark.parametrize("subject", SUBJECTS, ids=IDS)


def failure(channel: Channel, message: Message) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        channel.deliver(message)
    assert SECRET not in str(caught.value)
    assert not message.address or message.address not in str(caught.value)
    return caught.value


@subjects
def test_what_the_provider_accepts_is_accepted_and_says_number_and_link(subject: Subject) -> None:
    with subject.running() as (channel, provider, message):
        receipt = channel.deliver(message)
        assert receipt.state in ("accepted", "delivered")
        assert len(provider.asked) == 1
        assert channel.name == subject.name
        assert channel.is_real is False, "a host inside that is listed is what a demo may use"


@pytest.mark.parametrize(("subject", "mode", "permanent", "throttled"), REFUSALS)
def test_a_refusal_in_a_good_answer_has_refused(
    subject: Subject, mode: str, permanent: bool, throttled: bool
) -> None:
    with subject.running() as (channel, provider, message):
        provider.mode = mode
        error = failure(channel, message)
        assert (error.permanent, error.throttled, error.uncertain) == (permanent, throttled, False)
        assert not throttled or (error.retry_after_s or 0) > 0


@pytest.mark.parametrize("subject", [item for item in WITH_BODY if item.statuses], ids=lambda item: item.name)
@pytest.mark.parametrize("mode", ["garbage", "empty"])
def test_a_good_status_without_the_provider_s_words_is_never_a_success(subject: Subject, mode: str) -> None:
    with subject.running() as (channel, provider, message):
        provider.mode = mode
        error = failure(channel, message)
        assert error.uncertain or error.permanent


@pytest.mark.parametrize(("subject", "status"), STATUSES)
def test_statuses_mean_what_they_say(subject: Subject, status: str) -> None:
    with subject.running() as (channel, provider, message):
        provider.mode = status
        error = failure(channel, message)
        assert error.permanent == (status in ("400", "401"))
        assert error.uncertain is False
        if status == "429":
            assert (error.throttled, error.retry_after_s) == (True, 7)


@subjects
@pytest.mark.parametrize("mode", ["silent", "reset"])
def test_a_line_that_breaks_after_the_request_leaves_doubt(subject: Subject, mode: str) -> None:
    with subject.running() as (channel, provider, message):
        provider.mode = mode
        began = time.monotonic()
        error = failure(channel, message)
        assert (error.uncertain, error.permanent) == (True, False)
        assert time.monotonic() - began < 10 * WITHIN_S


@subjects
def test_a_provider_that_is_not_there_has_received_nothing(subject: Subject) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        channel = subject.open(Provider(closed.getsockname()[1]))
        assert channel is not None
        error = failure(channel, replace(MESSAGE, address=subject.address))
    assert (error.uncertain, error.permanent) == (False, False)


@subjects
def test_a_copy_is_known_again_or_can_be_asked_for_or_is_told(subject: Subject) -> None:
    with subject.running() as (channel, provider, message):
        doubt = traits_of(channel).after_doubt
        if doubt is AfterDoubt.TELL:
            assert not isinstance(channel, Finds)
            return
        if doubt is AfterDoubt.ASK:
            assert isinstance(channel, Finds)
            assert channel.find(message) is None, "the provider never had it"
        channel.deliver(message)
        if doubt is AfterDoubt.ASK:
            assert isinstance(channel, Finds)
            found = channel.find(message)
            assert found is not None and found.state == "delivered"
            return
        channel.deliver(message)
        first, second = provider.asked
        assert subject.key_of(first) == subject.key_of(second) != ""


@pytest.mark.parametrize("subject", [item for item in SUBJECTS if item.address], ids=lambda item: item.name)
def test_without_an_address_nothing_is_sent(subject: Subject) -> None:
    with subject.running() as (channel, provider, message):
        assert failure(channel, replace(message, address="")).permanent
        assert provider.asked == []


@subjects
def test_a_public_looking_name_that_lies_inside_is_refused(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name passes where it is not listed only if every address behind it is public."""
    with subject.running() as (channel, provider, message):
        monkeypatch.setattr("alerts.sending.outgoing.is_listed", lambda host, listed: False)
        line = getattr(channel, "_line", None)
        target = line.target if line is not None else channel._target  # type: ignore[attr-defined]
        outside = replace(target, private=False)
        if line is not None:
            channel._line = replace(line, target=outside)  # type: ignore[attr-defined]
        else:
            channel._target = outside  # type: ignore[attr-defined]
        assert failure(channel, message).permanent
        assert provider.asked == []


def test_every_channel_there_is_has_passed() -> None:
    there = {module.name for module in pkgutil.iter_modules(alerts.channels.__path__)}
    assert there - set(IDS) - OTHERS == set(), "add the new channel to SUBJECTS"


@pytest.mark.filterwarnings("ignore::DeprecationWarning:apprise", "ignore:'imghdr':DeprecationWarning")
def test_apprise_informs_and_never_counts_as_reach() -> None:
    pytest.importorskip("apprise")
    with run_http(with_modes(plain)) as provider:
        own = apprise_channel.Settings(urls=SecretStr(f"json://127.0.0.1:{provider.port}/"), is_local=True)
        channel = apprise_channel.open_channel(settings_for(), own)
        assert channel is not None
        assert traits_of(channel).reaches is False
        assert channel.deliver(MESSAGE) == Receipt("accepted", detail="informational")
        provider.mode = "500"
        assert failure(channel, MESSAGE).permanent is False


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        (
            "sms_aliyun",
            lambda url: aliyun_channel.Settings(
                url=url, access_key_id="key-id", access_key_secret=SecretStr(SECRET), sign_name="开门",
                template_code="SMS_1", code_template="SMS_2",
            ),
            lambda asked: (asked.query["TemplateCode"], json.loads(asked.query["TemplateParam"])),
        ),
        (
            "sms_tencent",
            lambda url: tencent_channel.Settings(
                url=url, secret_id="key-id", secret_key=SecretStr(SECRET), app_id="1400", sign_name="开门",
                template_id="7", code_template="8",
            ),
            lambda asked: (asked.json["TemplateId"], asked.json["TemplateParamSet"]),
        ),
    ],
)  # fmt: skip
def test_a_code_goes_out_in_the_template_for_codes_and_a_case_never_does(
    name: str, settings: Callable[[str], Any], said: Callable[[Asked], Any]
) -> None:
    (subject,) = (subject for subject in SUBJECTS if subject.name == name)
    assert subject.answer is not None
    channels = {"sms_aliyun": aliyun_channel, "sms_tencent": tencent_channel}
    with run_http(with_modes(subject.answer)) as provider:
        channel = channels[name].open_channel(settings_for(), settings(provider.url))
        assert channel is not None
        message = replace(MESSAGE, address=subject.address)
        channel.deliver(replace(message, template="proof", number="123456"))
        channel.deliver(message)
        (code, case) = (said(asked) for asked in provider.asked)
    assert code == {"sms_aliyun": ("SMS_2", {"code": "123456"}), "sms_tencent": ("8", ["123456"])}[name]
    assert case[0] == {"sms_aliyun": "SMS_1", "sms_tencent": "7"}[name]
