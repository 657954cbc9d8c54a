"""Lanes, pauses, doubt, quiet hours and what messages say: pure rules without a database."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, time, timedelta
from itertools import product
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.channels import (
    AfterDoubt,
    DeliveryError,
    Lane,
    Limit,
    Traits,
    dingtalk,
    feishu,
)
from alerts.channels.sia_dc09 import crc16, format_frame, parse_answer
from alerts.rules.actions import Annunciate
from alerts.sending import clouds
from alerts.sending.addresses import AddressBook, AddressKeyError, mask_address, open_address_book
from alerts.sending.delivery import after_quiet, breaks_quiet, judge_failure, lane_of, permitted
from alerts.sending.messages import LANGUAGES, TEMPLATES, case_link, render_texts, token_link
from alerts.sending.recipients import Address, Roster, plan_messages
from alerts.sending.refusals import Refusals
from alerts.sending.tokens import AccessToken
from kaimen.vocabulary import Role

NOW = datetime(2025, 11, 17, 1, 0, tzinfo=UTC)
EMPTY_HASH = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def judge(
    error: DeliveryError,
    doubt: AfterDoubt,
    *,
    lane: Lane = Lane.LIFE,
    has_next: bool = False,
    attempts: int = 1,
):
    return judge_failure(
        error, attempts=attempts, wall=NOW, traits=Traits(after_doubt=doubt), lane=lane, has_next=has_next
    )


# --- lanes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "step", ["call", "visit", "not_seen_2", "not_seen_3", "confirm", "sos", "what is new"]
)
def test_calls_visits_and_what_nobody_foresaw_go_first(step: str) -> None:
    assert lane_of(step) is Lane.LIFE


@pytest.mark.parametrize("step", ["warning", "not_seen_1", "technical"])
def test_lists_and_faults_of_devices_wait_behind_them(step: str) -> None:
    assert lane_of(step) is Lane.ROUTINE


def test_a_visit_and_a_call_for_help_wake_people_and_a_call_does_not() -> None:
    assert [breaks_quiet(step) for step in ("visit", "sos", "call", "warning", "digest")] == [
        True, True, False, False, False,
    ]  # fmt: skip


@given(st.integers(1, 1_000), st.integers(1, 86_400))
def test_the_life_lane_always_has_a_place_the_others_cannot_take(count: int, per_s: int) -> None:
    limit = Limit(count, per_s)
    routine = permitted(limit, lane=Lane.ROUTINE, shared=True)
    assert permitted(limit, lane=Lane.LIFE, shared=True) == count
    assert 1 <= routine <= count
    assert routine < count or count == 1


# --- doubt ----------------------------------------------------------------------------------------------------------

LOST = DeliveryError("no answer", permanent=False, uncertain=True)


@pytest.mark.parametrize(("lane", "has_next"), list(product(Lane, (True, False))))
def test_doubt_is_tried_again_where_a_copy_does_no_harm(lane: Lane, has_next: bool) -> None:
    for doubt in (AfterDoubt.RESEND, AfterDoubt.ASK):
        result = judge(LOST, doubt, lane=lane, has_next=has_next)
        assert result.state == "uncertain" and result.retry_at is not None


@pytest.mark.parametrize(("lane", "has_next"), list(product(Lane, (True, False))))
def test_doubt_is_copied_blindly_only_where_a_life_hangs_on_this_one_channel(
    lane: Lane, has_next: bool
) -> None:
    result = judge(LOST, AfterDoubt.TELL, lane=lane, has_next=has_next)
    assert result.state == "uncertain"
    assert (result.retry_at is not None) == (lane is Lane.LIFE and not has_next)


def test_a_throttle_pauses_the_channel_and_frees_the_next_one() -> None:
    error = DeliveryError("slow", permanent=False, retry_after_s=600, throttled=True)
    result = judge(error, AfterDoubt.TELL)
    assert (result.pause_s, result.retry_at) == (600, NOW + timedelta(seconds=600))
    assert result.frees_next(NOW)


def test_a_short_pause_holds_the_next_channel_back() -> None:
    assert not judge(DeliveryError("busy", permanent=False), AfterDoubt.TELL).frees_next(NOW)


def test_pauses_of_a_provider_take_the_place_of_doubling_ones() -> None:
    traits = Traits(retry_after_s=(65, 300))
    pauses = [
        judge_failure(DeliveryError("", permanent=False), attempts=n, wall=NOW, traits=traits).retry_at
        for n in (1, 2, 5)
    ]
    assert pauses == [NOW + timedelta(seconds=s) for s in (65, 300, 300)]


def test_an_unknown_code_is_a_refusal_and_its_words_are_not_repeated() -> None:
    error = Refusals(temporary={"-1"}, throttled={"45009": 60}).error("13900000001 is no number" * 9)
    assert error.permanent and len(str(error)) < 80


def test_a_token_is_fetched_again_before_it_ends_and_when_the_platform_forgets_it() -> None:
    fetched: list[int] = []

    def fetch() -> tuple[str, int]:
        fetched.append(1)
        return f"t{len(fetched)}", 7_200

    token = AccessToken(fetch)
    assert [token.get(0), token.get(6_800), token.get(6_901)] == ["t1", "t1", "t2"]
    token.forget("t1")
    assert token.get(6_902) == "t2"
    token.forget("t2")
    assert token.get(6_903) == "t3"


# --- quiet hours -----------------------------------------------------------------------------------------------------

clock_times = st.times(timezones=st.none()).map(lambda at: at.replace(second=0, microsecond=0))
zones = st.sampled_from(["Asia/Shanghai", "America/Toronto", "Europe/London", "Asia/Kathmandu", "UTC"])


@given(
    st.datetimes(datetime(2025, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC)),
    clock_times,
    clock_times,
    zones,
)
def test_quiet_hours_end_where_the_recipient_is_and_nothing_waits_a_day(
    at: datetime, begin: time, end: time, zone: str
) -> None:
    told = after_quiet(at, quiet_from=begin, quiet_until=end, zone=zone)
    assert timedelta(0) <= told - at <= timedelta(hours=25)
    minute = at.astimezone(ZoneInfo(zone)).time()
    # The oracle walks the minutes of the day on a ring.
    minutes = [
        m % 1_440 for m in range(_minute(begin), _minute(begin) + (_minute(end) - _minute(begin)) % 1_440)
    ]
    assert (told == at) == (_minute(minute) not in minutes)


def _minute(at: time) -> int:
    return at.hour * 60 + at.minute


def test_without_quiet_hours_nothing_waits() -> None:
    assert after_quiet(NOW, quiet_from=None, quiet_until=None, zone="UTC") == NOW


# --- whom -----------------------------------------------------------------------------------------------------------


def test_a_chain_is_each_person_s_own_and_in_her_order() -> None:
    family = (
        Address(1, "person:a", "wechat"), Address(2, "person:a", "sms_aliyun"), Address(3, "user:7", "email"),
    )  # fmt: skip
    wanted = Annunciate(step="visit", repetition=0, not_before=NOW, roles=(), family=True, outside=True)
    planned = plan_messages(wanted, Roster("c1", family=family))
    assert [(item.address_id, item.position) for item in planned] == [(1, 0), (2, 1), (3, 0)]
    assert [item.not_before for item in planned] == [NOW, NOW + timedelta(minutes=5), NOW]


def test_staff_are_told_of_what_their_role_is_asked_for() -> None:
    staff = (
        Address(1, "user:1", "ntfy", role="property_clerk"), Address(2, "user:2", "ntfy", role="police_officer"),
    )  # fmt: skip
    wanted = Annunciate(
        step="call", repetition=0, not_before=NOW, roles=(Role.PROPERTY_CLERK,), family=False, outside=True
    )
    planned = plan_messages(wanted, Roster("c1", staff=staff))
    assert [item.address_id for item in planned if item.address_id] == [1]


def test_a_community_s_own_group_takes_the_place_of_the_common_one() -> None:
    roster = Roster(
        "c1", outside_channels=("dingtalk", "webhook"), community=(Address(9, "community:c1", "dingtalk"),)
    )
    wanted = Annunciate(step="call", repetition=0, not_before=NOW, roles=(), family=False, outside=True)
    planned = [(item.channel, item.address_id) for item in plan_messages(wanted, roster)]
    assert planned == [("dingtalk", 9), ("webhook", None)]


def test_without_an_outside_annunciation_only_the_family_hears_of_a_warning() -> None:
    roster = Roster("c1", family=(Address(1, "user:7", "ntfy"),), outside_channels=("webhook",))
    for step, told in (("warning", 1), ("visit", 0)):
        wanted = Annunciate(step=step, repetition=0, not_before=NOW, roles=(), family=True, outside=False)
        assert len(plan_messages(wanted, roster)) == told


# --- what is said ----------------------------------------------------------------------------------------------------

SEEDED = (
    "王秀英",
    "Wang",
    "139",
    "5-1-1201",
    "12-01",
    "1201",
    "Linden",
    "h1",
    "warning",
    "visit",
    "day",
    "天",
    "门未开",
    "fall",
)


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("channel", ["", "email", "sms_aliyun", "wechat"])
def test_no_message_holds_a_name_a_door_or_a_state(template: str, channel: str) -> None:
    for link in (case_link("https://k.example", 7), token_link("https://k.example", "abcdefghijklmnop")):
        texts = render_texts(template, number="2025-1117-001", link=link, channel=channel)
        assert set(texts) == set(LANGUAGES)
        for text in texts.values():
            said = (
                text.replace(link, "").replace("2025-1117-001", "").replace("today", "").replace("今天", "")
            )
            assert not [word for word in SEEDED if word.lower() in said.lower()]
            assert template == "proof" or link in text


def test_an_unknown_template_is_refused() -> None:
    with pytest.raises(LookupError):
        render_texts("../case", number="1", link="2")


# --- signatures, against what the providers publish -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("date", "nonce", "signature"),
    [
        ("2023-10-26T10:22:32Z", "3156853299f313e23d1673dc12e1703d", "06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"),
        ("2023-10-26T09:01:01Z", "d410180a5abf7fe235dd9b74aca91fc0", "e521358f7776c97df52e6b2891a8bc73026794a071b50c3323388c4e0df64804"),
    ],
)  # fmt: skip
def test_aliyun_s_published_examples(date: str, nonce: str, signature: str) -> None:
    query = {"ImageId": "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd", "RegionId": "cn-shanghai"}
    headers = {
        "host": "ecs.cn-shanghai.aliyuncs.com", "x-acs-action": "RunInstances", "x-acs-version": "2014-05-26",
        "x-acs-date": date, "x-acs-signature-nonce": nonce, "x-acs-content-sha256": EMPTY_HASH,
    }  # fmt: skip
    found = clouds.authorize_aliyun(
        key_id="YourAccessKeyId", secret="YourAccessKeySecret", method="POST", path="/",
        query=clouds.format_query(query), headers=headers, body_hash=EMPTY_HASH,
    )  # fmt: skip
    assert found.endswith(f"Signature={signature}")


@pytest.mark.parametrize(
    ("ends", "signature"),
    [
        ("*******", "2230eefd229f582d8b1b891af7107b91597240707d778ab3738f756258d7652c"),
        ("EXAMPLE", "72e494ea809ad7a8c8f7a4507b9bddcbaa8e581f516e8da2f66e2c5a96525168"),
    ],
)
def test_tencent_s_published_examples(ends: str, signature: str) -> None:
    body = b'{"Limit": 1, "Filters": [{"Values": ["\\u672a\\u547d\\u540d"], "Name": "instance-name"}]}'
    found = clouds.authorize_tencent(
        secret_id=f"AKIDz8krbsJ5yKBZQpn74WFkmLPx3{ends}", secret_key=f"Gu5t9xGARNpq86cd98joQYCN3{ends}", service="cvm",
        host="cvm.tencentcloudapi.com", timestamp_s=1551113065, body=body,
    )  # fmt: skip
    assert found.endswith(f"Signature={signature}")


def test_robots_of_dingtalk_and_feishu_sign_the_same_two_lines_differently() -> None:
    assert dingtalk.sign("secret", 1_763_341_200_000) != feishu.sign("secret", 1_763_341_200_000)
    assert (
        len(base64.b64decode(dingtalk.sign("secret", 1)))
        == len(base64.b64decode(feishu.sign("secret", 1)))
        == 32
    )


def test_a_frame_for_a_receiving_centre_is_the_standard_s() -> None:
    frame = format_frame(
        code="NA", account="1234", sequence=17, text="2025-1117-001", at=datetime(2026, 11, 21, 8, tzinfo=UTC)
    )
    # Read by two other implementations of the standard as: account 1234, no activity, 08:00 UTC.
    assert frame == b'\n5F0C0045"SIA-DCS"0017R0L0#1234[#1234|NNA0^2025-1117-001^]_08:00:00,11-21-2026\r'
    assert parse_answer(b'\n52ED0014"ACK"0017R0L0#1234[]\r') == ("ACK", 17)
    assert crc16(b"123456789") == 0xBB3D


@given(st.text(max_size=30))
def test_no_text_breaks_out_of_its_frame(text: str) -> None:
    frame = format_frame(code="NA", account="1234", sequence=1, text=text, at=NOW)
    assert frame.count(b"\r") == frame.count(b"\n") == 1
    assert frame.count(b"[") == frame.count(b"]") == 1
    assert frame.count(b"|") == 1 and frame.count(b"^") == 2


# --- addresses at rest ------------------------------------------------------------------------------------------------


@given(st.text(min_size=1, max_size=200).filter(lambda text: text.isprintable()), st.booleans())
def test_what_is_sealed_is_opened_again(address: str, with_key: bool) -> None:
    book = AddressBook(bytes(32) if with_key else b"")
    sealed = book.seal("ntfy", address)
    assert book.open("ntfy", sealed) == address
    assert not with_key or address.encode() not in sealed[1:] or len(address) < 4


def test_another_key_no_key_and_another_channel_open_nothing() -> None:
    sealed = AddressBook(bytes(32)).seal("ntfy", "topic")
    for book, channel in (
        (AddressBook(b"x" * 32), "ntfy"),
        (AddressBook(), "ntfy"),
        (AddressBook(bytes(32)), "email"),
    ):
        with pytest.raises(AddressKeyError):
            book.open(channel, sealed)


def test_an_address_is_found_however_it_was_written_and_by_nothing_else() -> None:
    book = AddressBook(bytes(32))
    assert book.find_hash("sms_aliyun", "139 0000-0001") == book.find_hash("sms_aliyun", "13900000001")
    assert book.find_hash("email", "A@B.example") == book.find_hash("email", "a@b.example")
    assert book.find_hash("ntfy", "A") != book.find_hash("ntfy", "a")
    assert book.find_hash("ntfy", "a") != AddressBook(b"x" * 32).find_hash("ntfy", "a")


def test_a_key_file_must_hold_a_key(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(base64.b64encode(bytes(32)).decode() + "\n")
    assert open_address_book(file).key == bytes(32)
    for wrong in ("", "c2hvcnQ=", "%%%"):
        file.write_text(wrong)
        with pytest.raises(AddressKeyError):
            open_address_book(file)
    assert "key" not in repr(open_address_book(None)).lower()


@pytest.mark.parametrize("address", ["13900000001", "daughter@mail.example", "abc", "topic-long"])
def test_a_masked_address_is_not_the_address(address: str) -> None:
    assert mask_address(address) != address and len(mask_address(address)) > 0
