"""What a relative is told of who is on it: never more than somebody has taken, and no word promised for an hour past."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from console.rendering import render
from console.sentences import family_ground, family_headline
from console.views.doors import HomeNews
from console.views.family import FamilyPage, FamilyState
from console.views.grounds import Technical
from console.views.parts import Form
from console.words import Words, load_words
from kaimen.vocabulary import EvidenceKind, Role, TaskKind
from tests.browser.samples import FAMILY_AWAY, FAMILY_DAY2, FAMILY_UNKNOWN, NOW, shell

HOME = FAMILY_DAY2.homes[0]


@pytest.mark.parametrize(
    ("worker", "minutes", "language", "said", "unsaid"),
    [
        ("李敏", 28, "zh", "李敏已接手，由物业打电话；09:10 前应有结果", "晚了"),
        (None, 28, "zh", "还没有人接手；09:10 前应有结果", "正在打电话"),
        ("李敏", -28, "zh", "李敏已接手，本应在 08:14 前有结果，已经晚了", "正在打电话"),
        (None, -28, "zh", "还没有人接手，本应在 08:14 前有结果，已经晚了", "正在打电话"),
        (None, 28, "en", "nobody has taken it yet; there should be word by 09:10", "staff"),
        (
            None,
            -28,
            "en",
            "Nobody has taken it yet; there should have been word by 08:14: it is late",
            "are calling",
        ),
    ],
)
def test_a_relative_is_told_who_has_it_and_when_it_is_late(
    worker: str | None, minutes: int, language: str, said: str, unsaid: str
) -> None:
    home = replace(HOME, worker=worker, result_by=NOW + timedelta(minutes=minutes))
    told = family_ground(home, load_words(language, "Asia/Shanghai", NOW)).replace("\u200b", "")
    assert said in told and unsaid not in told


def test_somebody_is_at_the_door_only_once_she_said_so() -> None:
    taken = replace(
        HOME, act=TaskKind.VISIT, worker="李敏", result_by=NOW + timedelta(minutes=28), state=FamilyState.DAY3
    )
    for language, going, there in (
        ("zh", "正在去", "08:40 到了门口"),
        ("en", "is going", "at the door since 08:40"),
    ):
        words = load_words(language, "Asia/Shanghai", NOW)
        assert going not in family_ground(taken, words) and "08:40" not in family_ground(taken, words)
        begun = replace(taken, begun_at=NOW - timedelta(minutes=2))
        assert there in family_ground(begun, words)


def test_who_stands_at_the_door_is_told_of_also_where_it_is_late() -> None:
    home = replace(
        HOME, act=TaskKind.VISIT, worker="李敏", state=FamilyState.DAY3, result_by=NOW - timedelta(minutes=28),
        begun_at=NOW - timedelta(minutes=2),
    )  # fmt: skip
    told = family_ground(home, _words("zh"))
    assert "李敏已接手，08:40 到了门口" in told and "已经晚了" in told
    assert "at the door since 08:40" in family_ground(home, _words("en"))


def test_a_relative_is_told_that_she_was_taken_to_hospital() -> None:
    home = replace(FAMILY_AWAY.homes[0], in_hospital=True)
    assert "登记为住院" in family_headline(home, _words("zh")).replace("\u200b", "")
    assert "登记到" in family_ground(home, _words("zh")) and "in hospital" in family_headline(
        home, _words("en")
    )


@pytest.mark.parametrize(
    ("kind", "zh", "en"),
    [
        (TaskKind.CALL, "08:20 打过电话，没有人接", "Rung at 08:20: nobody answered"),
        (
            TaskKind.VISIT,
            "08:20 有人上门，没有人应。有钥匙",
            "at the door at 08:20: nobody answered. If you have a key",
        ),
        (TaskKind.RESPOND, "08:20 找过，没有联系上", "Looked for at 08:20"),
    ],
)
def test_a_relative_is_told_that_nobody_was_reached(kind: TaskKind, zh: str, en: str) -> None:
    for state in (FamilyState.DAY3, FamilyState.HELP):
        home = replace(HOME, state=state, tried=(kind, NOW - timedelta(minutes=22)))
        assert zh in family_ground(home, _words("zh")) and en in family_ground(home, _words("en"))


@pytest.mark.parametrize(
    ("source", "zh", "en", "unheard"),
    [
        ("saw", "有人见到了", "Somebody saw", False), ("spoke", "说过话", "Somebody spoke", False),
        ("meal", "手上", "handed to", False), ("button", "我很好", "was pressed", True),
        ("order", "下过订单", "ordered", True), ("remote", "平安的消息", "Word came", True),
        ("family", "家里人说", "Family said", False),
        ("", "有人联系上", "in touch", False),
    ],
)  # fmt: skip
def test_a_word_is_told_as_what_it_was(source: str, zh: str, en: str, unheard: bool) -> None:
    home = replace(
        HOME, state=FamilyState.GOOD, evidence_at=NOW - timedelta(hours=1), evidence_kind=EvidenceKind.VERIFIED,
        evidence_source=source,
    )  # fmt: skip
    for language, said, nobody in (("zh", zh, "没有人听到或见到"), ("en", en, "Nobody heard or saw")):
        assert said in family_headline(home, _words(language)).replace("\u200b", "")
        assert (nobody in family_ground(home, _words(language))) is unheard


@pytest.mark.parametrize(
    ("kind", "source", "said"),
    [
        (EvidenceKind.OPENING, "", "门上一次打开："), (EvidenceKind.OWN_CREDENTIAL, "", "本人上一次出入："),
        (EvidenceKind.VERIFIED, "spoke", "上一次联系上妈妈："), (EvidenceKind.VERIFIED, "button", "没有人听到或见到本人"),
        (EvidenceKind.ABSENCE_ENDED, "", "外出结束："), (EvidenceKind.WATCHED_FROM, "", "开始看护："),
    ],
)  # fmt: skip
def test_what_was_last_heard_is_told_on_a_bad_day_as_what_it_was(
    kind: EvidenceKind, source: str, said: str
) -> None:
    at = NOW - timedelta(hours=50)
    for state in (FamilyState.DAY2, FamilyState.UNKNOWN):
        home = replace(HOME, state=state, evidence_at=at, evidence_kind=kind, evidence_source=source)
        told = family_ground(home, _words("zh"))
        assert said in told and "11 月 19 日" in told and "06:42" not in told
        assert ("门上一次打开" in told) is (kind is EvidenceKind.OPENING), "no opening nobody saw"
        assert "11 月 19 日 06:42" in family_ground(replace(home, exact_times=True), _words("zh"))


@pytest.mark.parametrize(("kind", "shut"), [(EvidenceKind.OPENING, True), (EvidenceKind.VERIFIED, False)])
def test_a_word_of_her_does_not_shorten_how_long_her_door_is_said_to_be_shut(
    kind: EvidenceKind, shut: bool
) -> None:
    # Somebody spoke with her two days ago; when the door opened last is not what the days are counted from.
    for state in (FamilyState.DAY1, FamilyState.DAY2, FamilyState.DAY3):
        home = replace(HOME, state=state, evidence_at=NOW - timedelta(hours=50), evidence_kind=kind)
        said = family_headline(home, _words("zh")).replace("\u200b", "")
        assert said.startswith("妈妈家的门") is shut and ("的消息，门也没有开过" in said) is not shut


def test_a_door_that_cannot_be_seen_is_not_said_to_have_stayed_shut() -> None:
    blind = replace(HOME, known=False, unknown_cause="gateway", unknown_since=NOW - timedelta(hours=5))
    for language, said, why in (
        ("zh", "开没开过，不知道", "没有回音 5 小时"),
        ("en", "is not known", "silent for 5 h"),
    ):
        told = family_ground(blind, _words(language))
        assert said in told and why in told
        assert said not in family_ground(replace(blind, known=True), _words(language))


def test_two_homes_on_one_page_share_no_field_and_only_the_refused_form_stands_open() -> None:
    refused = Form({}, {"contacted": "how_is_missing"})
    first, second = HOME, replace(HOME, household=replace(HOME.household, id="h-2"), spoke_form=refused)
    page = FamilyPage(tuple(replace(home, news=HomeNews(), notices_form=Form()) for home in (first, second)))
    html = render("family.html", shell=shell("zh", role=Role.FAMILY), page=page)
    ids = re.findall(r' id="([^"]+)"', html)
    assert len(ids) == len(set(ids)), sorted(ids)
    assert set(re.findall(r'(?:for|aria-describedby)="([^"]+)"', html)) <= set(ids)
    assert html.count("<details open") == 1
    # What is unfolded stays so by its name, in its own home.
    named = re.findall(r'<summary data-name="([^"]+)"', html)
    assert len(named) == len(set(named)) == 4


def _words(language: str) -> Words:
    return load_words(language, "Asia/Shanghai", NOW)


@pytest.mark.parametrize(
    ("cause", "muted"), [("gateway", True), ("site", True), ("own", True), ("device", False), (None, False)]
)
def test_what_silences_a_home_silences_its_help_button_too(cause: str | None, muted: bool) -> None:
    home = replace(FAMILY_UNKNOWN.homes[0], unknown_cause=cause)
    assert ("求助按钮也收不到" in family_ground(home, _words("zh"))) is muted
    assert Technical(cause or "device", "x", "x", NOW, 2).mutes_help is muted
    assert not Technical(cause or "device", "x", "x", NOW, 0).mutes_help, "no home behind it"


def test_a_home_that_is_on_nobody_s_list_yet_is_not_said_to_be() -> None:
    seen_by_nobody = replace(FAMILY_UNKNOWN.homes[0], act=None, result_by=None, look_form=None)
    assert "已列入" not in family_ground(seen_by_nobody, _words("zh"))
    assert "已列入" in family_ground(replace(seen_by_nobody, look_form=Form()), _words("zh"))


def test_a_silent_gateway_is_not_said_to_be_without_power() -> None:
    home = replace(FAMILY_UNKNOWN.homes[0], unknown_cause="gateway")
    assert "断电" not in family_ground(home, _words("zh"))


@pytest.mark.parametrize("cause", ["own", "broker", "site", "gateway", "device", "doubted"])
def test_a_relative_reads_no_word_of_the_trade(cause: str) -> None:
    unknown = replace(FAMILY_UNKNOWN.homes[0], unknown_cause=cause)
    for home in (unknown, replace(HOME, state=FamilyState.GOOD, evidence_at=NOW)):
        told = family_ground(home, _words("zh")) + family_ground(home, _words("en")).lower()
        assert not [
            word
            for word in ("网关", "门磁", "消息服务", "推断", "gateway", "broker", "message service")
            if word in told
        ]


@pytest.mark.parametrize(("language", "wrong"), [("zh", "门一开就算"), ("en", "the first opening ends it")])
def test_an_absence_is_not_said_to_end_by_any_opening(language: str, wrong: str) -> None:
    assert wrong not in family_ground(FAMILY_AWAY.homes[0], _words(language))
    assert wrong not in _words(language).say("absence.hint")


@pytest.mark.parametrize(("exact", "when"), [(False, "this morning"), (True, "08:30")])
def test_a_call_for_help_comes_before_the_day(exact: bool, when: str) -> None:
    home = replace(
        HOME, state=FamilyState.HELP, help_at=NOW - timedelta(minutes=12), exact_times=exact, act=TaskKind.RESPOND,
        worker=None, result_by=NOW + timedelta(minutes=3),
    )  # fmt: skip
    words = _words("en")
    assert "call for help" in family_headline(home, words)
    ground = family_ground(home, words)
    assert when in ground and "nobody has taken it yet" in ground and "120" in ground
