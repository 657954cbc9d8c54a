"""Invented directors, committees, residents and terminals, as view-models: nothing enters, honest states leave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from console import views as v
from console import views_rights as r
from console import views_screens as s
from console import views_voices as vc
from kaimen.vocabulary import EvidenceKind, Role, Stage

NOW = datetime(2026, 11, 21, 0, 42, 17, tzinfo=UTC)
HOUR = timedelta(hours=1)


def nav(role: str, current: str) -> tuple[v.NavGroup, ...]:
    def item(name: str, url: str) -> v.NavItem:
        return v.NavItem(name, url, current=name == current)

    if role == "resident":
        return (
            v.NavGroup("service", (item("resident", "/resident"),)),
            v.NavGroup(
                "manage",
                (
                    item("resident_cards", "/resident/cards"),
                    item("resident_consents", "/resident/consents"),
                ),
            ),
            v.NavGroup("judge", (item("resident_looked", "/resident/looked"),)),
        )
    return (v.NavGroup("judge", (item(current, f"/{current}"),)),)


def resident(current: str) -> dict[str, Any]:
    return {"role": Role.RESIDENT, "nav": nav("resident", current), "duty": None, "demo": False}


LINE = v.DayLine(NOW - 3 * HOUR, NOW, 3 * 3_600_000, Stage.NORMAL, evidence_kind=EvidenceKind.OWN_CREDENTIAL)
PORTFOLIO = s.PortfolioPage(
    (
        s.PortfolioRow(
            "wenchang", "文昌花园社区", 412, (31, 6, 2), 4, NOW - 26 * HOUR, 18, 2, NOW + 9 * HOUR,
            "nobody_on_duty", s.Kept(187, 204), 41, 96,
        ),
        s.PortfolioRow("binhe", "滨河苑", 1_204, (88, 11, 0), 0, None, 3, sla=s.Kept(40, 40), visits=7, calls=121),
        s.PortfolioRow("new", "东湖新村（筹备）"),
    )
)  # fmt: skip
COMMITTEE = s.CommitteePage(
    (
        s.GridRow("4", 388, s.GridSize.FITS, 61, (5, 1, 0), s.Kept(9, 11), 3, 2, 1),
        s.GridRow("5", 212, s.GridSize.SMALL, 18, (0, 0, 0), s.Kept(), 0, 0, 0),
        s.GridRow("东片", 642, s.GridSize.LARGE, 130, (12, 2, 3), s.Kept(14, 22), 31, 8, 2),
        s.GridRow("", 9, s.GridSize.SMALL, 1, (0, 0, 0), s.Kept(), 1, 0, 0),
    ),
    NOW,
)
HOME = s.ResidentPage("3-1-1201", v.FamilyState.GOOD, EvidenceKind.OWN_CREDENTIAL, NOW - 3 * HOUR, LINE, True)
CARDS = s.CardsPage(
    (
        s.CardRow("9x4k", "resident", True, url="/resident/cards/0000000000000000"),
        s.CardRow("77aa", "family", lost_at=NOW - 20 * HOUR, valid_to=NOW - 20 * HOUR),
    ),
    (s.CardRow("04c1", "visitor", valid_to=NOW + 20 * HOUR, url="/resident/cards/0000000000000001"),),
)
CONSENTS = s.ResidentConsentsPage(
    (
        s.PurposeRow("watch", NOW - 900 * HOUR, "本人"),
        s.PurposeRow("notify_family", NOW - 900 * HOUR, "本人"),
        s.PurposeRow("exact_times"),
        s.PurposeRow("share_with_police"),
        s.PurposeRow("early_watch"),
        s.PurposeRow("visit_photo"),
    ),
    (s.RelativeRow(3, "王小明", "儿子", False), s.RelativeRow(4, "王大明", "侄子", True)),
)
LOOKS = s.ResidentLookedPage(
    (
        v.LookRow(NOW - HOUR, "", "property_clerk", "case_read", "call"),
        v.LookRow(NOW - 30 * HOUR, "", "police_officer", "look_up", "missing_person"),
    ),
    "/resident/looked?before=9",
)
NOTES = s.DeskNotesPage(
    (
        s.NoteRow(
            1, "card_lost", NOW - HOUR, "3-1-1201", ending="9x4k", url="/households/h", results=("cancelled", "found")
        ),
        s.NoteRow(2, "call_back", NOW - 2 * HOUR, "三栋一单元", "3 栋大堂", "well", results=("called", "nobody")),
        s.NoteRow(3, "call_back", NOW - 9 * HOUR, "7-2-0302", "7 栋大堂", "away", done_at=NOW, result="called"),
    )
)  # fmt: skip
_SPOKEN = vc.VoiceSound(
    "/family/h-1201/voice/elder.greeting/kept.wav?language=zh", 4.2, "女儿", "上海话", NOW
)
VOICE = vc.VoicePage(
    v.HouseholdName("h-1201", "3-1-1201", "3", "1", "1201", "王秀兰"),
    "/family/h-1201/voice",
    "/family",
    "zh",
    (("zh", "/family/h-1201/voice?language=zh"), ("en", "/family/h-1201/voice?language=en")),
    (
        vc.VoiceRow("elder.greeting", "您好。这里是社区物业，打电话问候您。", kept=_SPOKEN),
        vc.VoiceRow("elder.question", "您都好，请按一。需要帮助，请按二。", draft=_SPOKEN, kept=_SPOKEN),
        vc.VoiceRow("thanks.well", "谢谢您。已经记下了。祝您安好。"),
    ),
    v.Form({"segment": "thanks.well"}),
    30,
)
VOICE_REFUSED = replace(
    VOICE,
    form=v.Form(
        {"segment": "elder.question", "dialect": "沪"},
        {"spoken_by": "voice_speaker_missing", "agreed": "voice_not_agreed", "sound": "sound_too_short"},
    ),
)
TERMINALS = s.KiosksPage(
    (
        s.KioskRow(1, "3 栋大堂", "文昌花园", NOW - 300 * HOUR, NOW),
        s.KioskRow(2, "门岗", "文昌花园", NOW - 900 * HOUR, None, NOW - HOUR),
    ),
    (("wenchang", "文昌花园"),),
    v.Form({"place": ""}, {"place": "place_missing"}),
    "https://kaimen.example/kiosk/abcdefghijklmnopqrstuvwxyz012345",
)


def kiosk(step: s.KioskStep, **errors: str) -> Callable[[], object]:
    return lambda: s.KioskPage(step, "/kiosk/abcdefghijklmnopqrst", v.Form({}, errors))


def away() -> s.ResidentPage:
    return s.ResidentPage(
        "3-1-1201", v.FamilyState.AWAY, EvidenceKind.OPENING, NOW - 40 * HOUR, None, True, None, 7,
        NOW - 20 * HOUR, NOW + 90 * HOUR,
    )  # fmt: skip


def unseen() -> s.ResidentPage:
    return s.ResidentPage(
        "3-1-1201", v.FamilyState.UNKNOWN, EvidenceKind.OPENING, NOW - 40 * HOUR, LINE, False, NOW - 5 * HOUR,
        well_form=v.Form({}, {"": "remote_too_often"}), away_form=v.Form({}, {"to": "absence_needs_end"}),
    )  # fmt: skip


RIGHTS = r.RightsPage(
    v.HouseholdName("h-wang", "3-1-1201", "3", "1", "1201", name="王*英"),
    (r.PersonView("p-wang", "王*英", "resident"), r.PersonView("p-son", "王*明", "family")),
    (r.HoldView(1, "区法院", "(2025)民初12号", NOW + 999 * HOUR, NOW, True, False, False, True, True),),
    (r.DeletionView("p-old", NOW, "self"),),
    ("self", "heir", "authority"),
)
RETENTION = r.RetentionPage(
    (2023, 2024, 2025, 2026),
    (r.PeriodRow("door_events", 365, 120, 1095, (0, 12, 90_000, 4_000_000), 88),
     r.PeriodRow("passes", 90, 30, 366, ())),
    (r.RunView(NOW, "service", False, 1200, ("door_events",)), r.RunView(NOW, "command-line", True, 12, ())),
)  # fmt: skip
_DIRECTOR: dict[str, Any] = {"role": Role.PROPERTY_DIRECTOR, "duty": None, "demo": False}
_PLACES = (
    v.Place("wenchang", "文昌花园", 3, True),
    v.Place("binhe", "滨河苑", 1),
    v.Place("new", "东湖新村", 0),
)
_HALL: dict[str, Any] = {"user": None, "role": None, "nav": (), "duty": None, "demo": False}
PAGES: dict[str, tuple[str, Callable[[], object], dict[str, Any]]] = {
    "portfolio": ("portfolio.html", lambda: PORTFOLIO, {**_DIRECTOR, "nav": nav("", "portfolio")}),
    "portfolio-empty": ("portfolio.html", lambda: s.PortfolioPage(()), _DIRECTOR),
    "committee": ("committee.html", lambda: COMMITTEE, {"role": Role.COMMUNITY_COMMITTEE, "nav": nav("", "committee")}),
    "committee-empty": ("committee.html", lambda: s.CommitteePage((), NOW), {}),
    "resident": ("resident.html", lambda: HOME, resident("resident")),
    "resident-away": ("resident.html", away, resident("resident")),
    "resident-unseen": ("resident.html", unseen, resident("resident")),
    "resident-unwatched": (
        "resident.html", lambda: s.ResidentPage("3-1-1201", v.FamilyState.UNWATCHED), resident("resident"),
    ),
    "resident-cards": ("resident_cards.html", lambda: CARDS, resident("resident_cards")),
    "resident-pass": (
        "resident_cards.html",
        lambda: s.CardsPage((), (), v.Form(), "48213907", "pass", NOW + 24 * HOUR),
        resident("resident_cards"),
    ),
    "resident-consents": ("resident_consents.html", lambda: CONSENTS, resident("resident_consents")),
    "resident-looked": ("resident_looked.html", lambda: LOOKS, resident("resident_looked")),
    "rights": ("rights.html", lambda: RIGHTS, {"current": "households"}),
    "reviews": ("reviews.html", lambda: r.ReviewsPage((r.ReviewView(1, "邻居〔已删除〕有钥匙", "case_entries", NOW),)), {}),
    "reviews-empty": ("reviews.html", lambda: r.ReviewsPage(()), {}),
    "retention": ("retention.html", lambda: RETENTION, {"current": "admin"}),
    "desk-notes": ("desk_notes.html", lambda: NOTES, {"places": _PLACES}),
    "desk-notes-empty": ("desk_notes.html", lambda: s.DeskNotesPage(()), {}),
    "voice": ("voice.html", lambda: VOICE, {"role": Role.FAMILY, "demo": False}),
    "voice-refused": ("voice.html", lambda: VOICE_REFUSED, {"role": Role.FAMILY, "demo": False}),
    "kiosks": ("kiosks.html", lambda: TERMINALS, {"role": Role.ADMIN}),
    "kiosk": ("kiosk.html", kiosk(s.KioskStep.START), _HALL),
    "kiosk-well": ("kiosk.html", kiosk(s.KioskStep.WELL, code="kiosk_code_unknown"), _HALL),
    "kiosk-away": ("kiosk.html", kiosk(s.KioskStep.AWAY, days="kiosk_days"), _HALL),
    "kiosk-taken": ("kiosk.html", kiosk(s.KioskStep.TAKEN), _HALL),
    "kiosk-noted": ("kiosk.html", kiosk(s.KioskStep.NOTED), _HALL),
    "kiosk-busy": ("kiosk.html", kiosk(s.KioskStep.BUSY), _HALL),
    "kiosk-gone": ("kiosk.html", kiosk(s.KioskStep.GONE), _HALL),
}  # fmt: skip
