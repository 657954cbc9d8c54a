"""Catalogue ids, instants and durations enter, text leaves: both languages say everything, and say it rightly."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import console
from alerts.duty.readiness import GapReason
from alerts.rules.reasons import NextAction, Reason, Refusal
from console import agreements, navigation, refusal_words, scope, visiting
from console.api.scopes import Scope
from console.identity.people import Kind
from console.identity.positions import PositionRefusal
from console.identity.tokens import LIVES_DAYS
from console.pages.consents import PURPOSES
from console.pages.desk_notes import RESULTS
from console.pages.kiosk import AWAY_DAYS
from console.pages.resident_cards import PASS_LASTS
from console.tickets import rules as tickets
from console.views import case as case_views
from console.views import evidence as evidence_views
from console.views import morning as morning_views
from console.views import parts as view_parts
from console.views.channels import ZONES
from console.views.family import FamilyState
from console.views.parts import Phrase
from console.words import LANGUAGES, Words, load_catalogue, load_words
from ingest.presence import Reason as PresenceReason
from ingest.signals.episodes import EndReason
from kaimen.policy import CAUSE_LADDERS
from kaimen.vocabulary import (
    CaseCause,
    EventType,
    EvidenceKind,
    EvidenceSource,
    Grade,
    Outcome,
    QuarantineReason,
    Role,
    SignalKind,
    Stage,
    TaskKind,
    TaskState,
)

CONSOLE = Path(console.__file__).parent
NOW = datetime(2026, 11, 21, 0, 42, 17, tzinfo=UTC)

#: What a page that cannot be shown says, by its word or its status.
ERROR_PAGES = ["upgraded", "400", "401", "403", "404", "405", "409", "413", "414", "422", "429", "500", "503"]
#: Ids that the code builds: prefix -> every ending it can have.
BUILT: dict[str, list[str]] = {
    "mark": [mark.value for mark in view_parts.Mark],
    "street.count": [mark.value for mark in view_parts.Mark],
    "giver": ["staff"],
    "rights_how": ["spoke", "saw", "meal", "order", "button", "remote"],
    "zone": [zone.replace("/", "_") for zone in ZONES],
    "presumed": [value.value for value in view_parts.Presumed],
    "presumed.by": ["direction", "activity_after", "no_direction", "not_judged"],
    "cause_name": [cause.value for cause in CaseCause],
    "cause_ask": list(CAUSE_LADDERS),
    "signal": [kind.value for kind in SignalKind],
    "grade": [grade.value for grade in Grade],
    "source.kind": [source.value for source in EvidenceSource],
    "due.next": [
        action.value for action in (NextAction.TASK_STARTS, NextAction.TASK_DUE, NextAction.TELL_FURTHER)
    ],
    "act": ["answer_back", "review"],
    "sign": [kind.value for kind in view_parts.SignKind],
    "sign.kind": [kind.value for kind in view_parts.SignKind],
    "family.ground.sign": [kind.value for kind in view_parts.SignKind],
    "family.ground.presumed": ["in", "out"],
    "family.ground.act": [*(kind.value for kind in TaskKind), "none", "later"],
    "family.ground.card": ["in", "out", "none"],
    "family.unheard": ["day1", "day2", "day3"],
    "resident.unheard": ["day1", "day2", "day3"],
    "family.ground.last": [*(kind.value for kind in EvidenceKind), "unheard"],
    "family.ground.unknown": ["own", "broker", "site", "gateway", "device", "doubted"],
    "family.good": [*(kind.value for kind in EvidenceKind), "nothing"],
    "family": [state.value for state in FamilyState if state is not FamilyState.GOOD],
    "tab": [tab.value for tab in case_views.Tab],
    "alarms.empty": [tab.value for tab in case_views.Tab],
    "due.act": [kind.value for kind in TaskKind],
    "task": [kind.value for kind in TaskKind],
    "task_state": [state.value for state in TaskState],
    "next": [*(kind.value for kind in TaskKind), "wait"],
    "next.due": [*(kind.value for kind in TaskKind), "wait"],
    "field.due": [kind.value for kind in TaskKind],
    "field.no_answer": ["1", "2", "3", "4"],
    "outcome": [outcome.value for outcome in Outcome],
    "outcome.choice": [outcome.value for outcome in Outcome],
    "outcome.on_call": ["well", "helped", "no_answer", "away", "hospital", "sensor_fault", "deceased"],
    "outcome.question": [kind.value for kind in TaskKind],
    "contacted": ["spoke", "saw"],
    "role": [role.value for role in Role],
    "stage": [str(int(stage)) for stage in Stage],
    "fact.last": [kind.value for kind in EvidenceKind],
    "fact.direction": ["in", "out"],
    "line.alt.evidence": [kind.value for kind in EvidenceKind],
    "evidence.short": [kind.value for kind in EvidenceKind],
    "opening": [kind.value for kind in evidence_views.OpeningKind],
    "morning.column": [kind.value for kind in morning_views.MorningKind],
    "morning.quick": [
        f"{result}.{kind}" for kind, results in morning_views.QUICK_RESULTS.items() for result in results
    ],
    "morning.found": [f"{how}.{kind}" for how in ("spoke", "saw") for kind in ("call", "visit")],
    "morning.means": ["call", "visit"],
    "quarantine.reason": [reason.value for reason in QuarantineReason],
    "quarantine.mend": [reason.value for reason in QuarantineReason],
    "event": [kind.value for kind in EventType],
    "consent": ["watch", "notify_family", "share_with_police", "exact_times"],
    "absence_reason": ["travel", "hospital", "relatives", "other"],
    "tenure": ["owner", "rented", "vacant", "collective"],
    "device": ["controller", "contact", "motion", "water", "gateway", "other"],
    "notice": [act.value for act in scope.Act],
    "audit": [act.value for act in scope.Act if act is not scope.Act.REVEAL],
    "purpose": [purpose.value for purpose in scope.PurposeClass],
    "audit_purpose": [purpose.value for purpose in (*scope.PurposeClass, *scope.RevealPurpose, *TaskKind)],
    "basis": [basis.value for basis in scope.LegalBasis],
    "reveal": [purpose.value for purpose in scope.RevealPurpose],
    "signal.end": [reason.value for reason in EndReason],
    "rental.why": [
        *("vacant_opened", "lease_ended_credential", "more_credentials"),
        *("ending", "no_lease"),
    ],
    "presence.by": [reason.value for reason in PresenceReason],
    "sign_in.for": [role.value for role in Role],
    "refusal": list(refusal_words.WORDS),
    "nav": [*(name for _, name, _ in navigation.NAV.values()), "more"],
    "entry": [reason.value for reason in Reason],
    "error": [
        refusal.value
        for refusal in (
            *Refusal,
            *scope.LookUpRefusal,
            *visiting.VisitRefusal,
            *tickets.TicketRefusal,
            *PositionRefusal,
            *agreements.AskRefusal,
        )
    ],
    "look_up": ["read", "no_ticket", "not_granted", "not_the_asker", "not_an_officer", "not_trained", "over"],
    "ticket_state": [*(state.value for state in tickets.TicketState), "over"],
    "ticket_limit": [limit.value for limit in tickets.Limit],
    "audit_mark": [review.value for review in tickets.Review],
    "error_page.title": ERROR_PAGES,
    "error_page.words": ERROR_PAGES,
    "device.empty": ["all", "troubled"],
    "cause": ["own", "broker", "site", "gateway", "device", "quarantine"],
    "technical": ["own", "broker", "site", "gateway", "device", "quarantine", "never_heard"],
    "technical.do": ["own", "broker", "site", "gateway", "device", "quarantine", "never_heard"],
    "technical.step": ["1", "2", "3"],
    "street.gateway": ["heard", "silent"],
    "duration": ["d", "h", "min", "moment"],
    "day_part.today": ["night", "early", "morning", "noon", "afternoon", "evening"],
    "day_part.yesterday": ["night", "early", "morning", "noon", "afternoon", "evening"],
    "installation": ["demo", "production"],
    "method": [
        "card",
        "face",
        "pin",
        "qr",
        "ble",
        "phone",
        "remote_indoor",
        "remote_office",
        "exit_button",
        "key",
        "id_card",
        "visitor",
    ],
    "whose": ["resident", "family", "staff", "guard", "visitor"],
    "finding": [finding.value for finding in visiting.Finding],
    "visit_place": [place.value for place in visiting.Place],
    "visit.part": list(visiting.PARTS),
    "visit.part_hint": list(visiting.PARTS),
    **{
        prefix: [step.value for step in visiting.Step] for prefix in ("entry_step", "entry_hint", "entry_who")
    },
    "call_script": ["1", "2", "3", "4", "5"],
    "call_code": ["C11", "C12", "C13", "C14", "C15"],
    "call.result": ["rang_out", "busy", "off", "wrong_number", "voice_mail", "hung_up"],
    "portfolio.gap": [reason.value for reason in GapReason],
    "committee.size": ["small", "large"],
    "resident.say": [
        state.value
        for state in FamilyState
        if state not in (FamilyState.GOOD, FamilyState.UNTOLD, FamilyState.ENDED)
    ],
    "resident.say.good": ["own_credential", "verified", "opening", "begun"],
    "resident.ground.before": ["own_credential", "verified", "opening", "begun"],
    "resident.purpose": list(PURPOSES),
    "resident.means": list(PURPOSES),
    "resident.shown": ["pass", "code"],
    "card": ["resident", "family", "visitor"],
    "pass_lasts": list(PASS_LASTS),
    "desk_notes": ["card_lost", "call_back"],
    "desk_notes.said": ["well", "away", "delete", "correct"],
    "desk_notes.result": list(RESULTS),
    "kiosk": ["well", "away"],
    "kiosk_days": list(AWAY_DAYS),
    "kiosk.send": ["well", "away", "note"],
    "kiosk.done": ["taken", "noted", "busy", "gone"],
    "kiosk.done_words": ["taken", "noted", "busy", "gone"],
    "scope": [scope_.value.replace(":", "_") for scope_ in Scope],
    "request": [kind.value for kind in Kind],
    "token_days": [str(days) for days in LIVES_DAYS],
    "relation": ["mother", "father", "grandmother", "grandfather"],
}


def written_ids() -> set[str]:
    """Ids that stand as they are in templates and Python files."""
    found: set[str] = set()
    files = [*CONSOLE.glob("templates/*.html"), CONSOLE / "sentences.py", *CONSOLE.glob("drawing/*.py")]
    for path in files:
        source = path.read_text(encoding="utf-8")
        for match in re.finditer(r"""\b(?:t|tn|say|count)\(\s*["']([\w.]+)["']\s*(~)?""", source):
            if not match[2]:
                found.add(match[1])
    return found


def words(language: str = "zh", now: datetime = NOW) -> Words:
    return load_words(language, "Asia/Shanghai", now)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_word_a_page_asks_for_is_in_the_catalogue(language: str) -> None:
    catalogue = load_catalogue(language)
    built = {f"{prefix}.{ending}" for prefix, endings in BUILT.items() for ending in endings}
    assert sorted((written_ids() | built) - set(catalogue)) == []


def test_both_catalogues_say_the_same_things_with_the_same_values() -> None:
    chinese, english = load_catalogue("zh"), load_catalogue("en")
    assert set(chinese) == set(english)
    differing = {
        word
        for word in chinese
        if {*re.findall(r"\{(\w+)\}", chinese[word][0])} != {*re.findall(r"\{(\w+)\}", english[word][-1])}
    }
    assert differing == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_word_is_empty_but_the_join_of_chinese_sentences(language: str) -> None:
    empty = {word for word, forms in load_catalogue(language).items() if not all(forms)}
    assert empty <= {"join.space"}


def test_every_template_asks_the_catalogue_for_its_text() -> None:
    """Outside of tags, expressions and comments no letter stands in a template."""
    bare: list[str] = []
    for path in sorted(CONSOLE.glob("templates/*.html")):
        source = path.read_text(encoding="utf-8")
        source = re.sub(r"\{% block \w+_class %\}.*?\{% endblock %\}", "", source, flags=re.S)
        source = re.sub(r"\{#.*?#\}|\{\{.*?\}\}|\{%.*?%\}", "", source, flags=re.S)
        source = re.sub(r"<kbd>.*?</kbd>|<!doctype html>|<[^>]*>", "", source, flags=re.S)
        source = re.sub(r'[\w-]+="[^"]*"', "", source).replace("dBm", "")  # attributes a macro leaves; a unit
        bare += [f"{path.name}: {found}" for found in re.findall(r"[A-Za-z\u4e00-\u9fff]{2,}", source)]
    assert bare == []


def test_a_word_nobody_wrote_is_shown_as_it_is() -> None:
    assert words().say("no.such.word") == "no.such.word"
    assert words().named("event", "VendorSpecial7") == "VendorSpecial7"


@pytest.mark.parametrize(
    ("length_ms", "chinese", "english"),
    [
        (183_600_000, "2 天 3 小时", "2 d 3 h"),
        (86_400_000, "1 天", "1 d"),
        (86_399_999, "23 小时 59 分", "23 h 59 min"),
        (32_400_000, "9 小时", "9 h"),
        (4_320_000, "1 小时 12 分", "1 h 12 min"),
        (59_999, "不到 1 分钟", "less than a minute"),
        (-5, "不到 1 分钟", "less than a minute"),
    ],
)
def test_durations_are_said_in_words_and_never_rounded_up(length_ms: int, chinese: str, english: str) -> None:
    assert words("zh").duration(length_ms) == chinese
    assert words("en").duration(length_ms) == english


def test_instants_are_local_dates_as_each_reader_writes_them() -> None:
    at = datetime(2026, 11, 17, 21, 18, tzinfo=UTC)  # 18 November, 05:18 in Shanghai
    assert words("zh").date_time(at) == "11 月 18 日 05:18"
    assert words("en").date_time(at) == "18 Nov 05:18"
    assert words("zh").date_time(NOW) == "08:42"
    assert words("en").date_time(at - timedelta(days=365)) == "18 Nov 2025 05:18"


@pytest.mark.parametrize(
    ("hour", "part"),
    [(2, "今天凌晨"), (7, "今天早上"), (9, "今天上午"), (13, "今天中午"), (17, "今天下午"), (23, "今天晚上")],
)
def test_the_part_of_the_day_is_said_without_minutes(hour: int, part: str) -> None:
    now = datetime(2026, 11, 21, 15, 50, tzinfo=UTC)
    assert words("zh", now).day_part(datetime(2026, 11, 20, 16, tzinfo=UTC) + timedelta(hours=hour)) == part
    assert words("zh", now).day_part(now - timedelta(days=3)) == "11 月 18 日"


def test_a_timeline_entry_of_the_database_is_put_into_words() -> None:
    entry = Phrase("closed_by_evidence", {"evidence_at": "2026-11-21T00:12:00+00:00", "outcome": "resumed"})
    assert words("zh").phrase(entry) == "08:12 门开了，结案（恢复开门）"
    assert (
        words("en").phrase(Phrase("handed_over", {"to": "police_officer"}))
        == "Handed over to Community police"
    )


def test_plurals_follow_the_language() -> None:
    assert words("en").count("count.households", 1) == "1 household"
    assert words("en").count("count.households", 12) == "12 households"
    assert words("zh").count("count.households", 1_200) == "1,200 户"


def test_the_usual_names_of_relatives_are_said_in_both_languages() -> None:
    assert words("en").relation("妈妈") == "Mum"
    assert words("zh").relation("mother") == "妈妈"
    assert words("en").relation("二姨") == "二姨"


@pytest.mark.parametrize(
    ("place", "chinese", "english"),
    [
        ("5-1", "5 栋 1 单元", "Building 5, unit 1"),
        ("5-1-1201", "5 栋 1 单元 1201", "Building 5, unit 1, 1201"),
        ("东门岗亭", "东门岗亭", "东门岗亭"),
        ("A-1", "A-1", "A-1"),
    ],
)
def test_a_place_is_said_as_one_says_it(place: str, chinese: str, english: str) -> None:
    assert words("zh").place(place) == chinese
    assert words("en").place(place) == english


@pytest.mark.parametrize(
    ("relation", "english"),
    [("外婆", "Grandma"), ("姨母", "Aunt"), ("女儿", "daughter"), ("干妈", "干妈"), ("", "")],
)
def test_the_familys_own_word_is_kept_in_chinese_and_put_into_english(relation: str, english: str) -> None:
    assert words("zh").relation(relation) == relation
    assert words("en").relation(relation) == english
