"""Invented directors, committees, residents and terminals, as view-models: nothing enters, honest states leave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from console.views import admin as admin_views
from console.views import family as family_views
from console.views import parts as view_parts
from console.views import rights as rights_views
from console.views import screens as screens_views
from console.views import shell as shell_views
from console.views import voices as voices_views
from console.views.evidence import Opening, OpeningKind
from kaimen.vocabulary import EvidenceKind, Role, Stage

NOW = datetime(2026, 11, 21, 0, 42, 17, tzinfo=UTC)
HOUR = timedelta(hours=1)


def nav(role: str, current: str) -> tuple[shell_views.NavGroup, ...]:
    def item(name: str, url: str) -> shell_views.NavItem:
        return shell_views.NavItem(name, url, current=name == current)

    if role == "resident":
        return (
            shell_views.NavGroup("service", (item("resident", "/resident"),)),
            shell_views.NavGroup(
                "manage",
                (
                    item("resident_cards", "/resident/cards"),
                    item("resident_consents", "/resident/consents"),
                ),
            ),
            shell_views.NavGroup("judge", (item("resident_looked", "/resident/looked"),)),
        )
    return (shell_views.NavGroup("judge", (item(current, f"/{current}"),)),)


def resident(current: str) -> dict[str, Any]:
    return {"role": Role.RESIDENT, "nav": nav("resident", current), "duty": None, "demo": False}


LINE = view_parts.DayLine(
    NOW - 3 * HOUR, NOW, 3 * 3_600_000, Stage.NORMAL, evidence_kind=EvidenceKind.OWN_CREDENTIAL
)
PORTFOLIO = screens_views.PortfolioPage(
    (
        screens_views.PortfolioRow(
            "wenchang", "文昌花园社区", 412, (31, 6, 2), 4, NOW - 26 * HOUR, 18, 2, NOW + 9 * HOUR,
            "nobody_on_duty", screens_views.Kept(187, 204), 41, 96,
        ),
        screens_views.PortfolioRow("binhe", "滨河苑", 1_204, (88, 11, 0), 0, None, 3, sla=screens_views.Kept(40, 40), visits=7, calls=121, minutes=611.5),
        screens_views.PortfolioRow("new", "东湖新村（筹备）"),
    )
)  # fmt: skip
COMMITTEE = screens_views.CommitteePage(
    (
        screens_views.GridRow(
            "4", 388, screens_views.GridSize.FITS, 61, (5, 1, 0), screens_views.Kept(9, 11), 3, 2, 1
        ),
        screens_views.GridRow(
            "5", 212, screens_views.GridSize.SMALL, 18, (0, 0, 0), screens_views.Kept(), 0, 0, 0
        ),
        screens_views.GridRow(
            "东片", 642, screens_views.GridSize.LARGE, 130, (12, 2, 3), screens_views.Kept(14, 22), 31, 8, 2
        ),
        screens_views.GridRow(
            "", 9, screens_views.GridSize.SMALL, 1, (0, 0, 0), screens_views.Kept(), 1, 0, 0
        ),
    ),
    NOW,
)
HOME = screens_views.ResidentPage(
    "3-1-1201",
    family_views.FamilyState.GOOD,
    EvidenceKind.OWN_CREDENTIAL,
    NOW - 3 * HOUR,
    LINE,
    True,
    openings=(
        Opening(NOW - 3 * HOUR, OpeningKind.OWN_CREDENTIAL),
        Opening(NOW - 9 * HOUR, OpeningKind.CONTACT),
    ),
)
CARDS = screens_views.CardsPage(
    (
        screens_views.CardRow("9x4k", "resident", True, url="/resident/cards/0000000000000000"),
        screens_views.CardRow("77aa", "family", lost_at=NOW - 20 * HOUR, valid_to=NOW - 20 * HOUR),
    ),
    (
        screens_views.CardRow(
            "04c1", "visitor", valid_to=NOW + 20 * HOUR, url="/resident/cards/0000000000000001"
        ),
    ),
)
CONSENTS = screens_views.ResidentConsentsPage(
    (
        screens_views.PurposeRow("watch", NOW - 900 * HOUR, "本人"),
        screens_views.PurposeRow("notify_family", NOW - 900 * HOUR, "本人"),
        screens_views.PurposeRow("exact_times"),
        screens_views.PurposeRow("share_with_police"),
        screens_views.PurposeRow("early_watch"),
        screens_views.PurposeRow("visit_photo"),
    ),
    (
        screens_views.RelativeRow(3, "王小明", "儿子", False),
        screens_views.RelativeRow(4, "王大明", "侄子", True),
    ),
    (screens_views.RungRow("p-h-wang", "王秀英", NOW - 900 * HOUR, "0571-8888"),),
)
LOOKS = screens_views.ResidentLookedPage(
    (
        admin_views.LookRow(NOW - HOUR, "", "property_clerk", "case_read", "call"),
        admin_views.LookRow(NOW - 30 * HOUR, "", "police_officer", "look_up", "missing_person"),
    ),
    "/resident/looked?before=9",
)
NOTES = screens_views.DeskNotesPage(
    (
        screens_views.NoteRow(
            1, "card_lost", NOW - HOUR, "3-1-1201", ending="9x4k", url="/households/h", results=("cancelled", "found")
        ),
        screens_views.NoteRow(2, "call_back", NOW - 2 * HOUR, "三栋一单元", "3 栋大堂", "well", results=("called", "nobody")),
        screens_views.NoteRow(3, "call_back", NOW - 9 * HOUR, "7-2-0302", "7 栋大堂", "away", done_at=NOW, result="called"),
    )
)  # fmt: skip
_SPOKEN = voices_views.VoiceSound(
    "/family/h-1201/voice/elder.greeting/kept.wav?language=zh", 4.2, "女儿", "上海话", NOW
)
VOICE = voices_views.VoicePage(
    view_parts.HouseholdName("h-1201", "3-1-1201", "3", "1", "1201", "王秀兰"),
    "/family/h-1201/voice",
    "/family",
    "zh",
    (("zh", "/family/h-1201/voice?language=zh"), ("en", "/family/h-1201/voice?language=en")),
    (
        voices_views.VoiceRow("elder.greeting", "您好。这里是社区物业，打电话问候您。", kept=_SPOKEN),
        voices_views.VoiceRow(
            "elder.question", "您都好，请按一。需要帮助，请按二。", draft=_SPOKEN, kept=_SPOKEN
        ),
        voices_views.VoiceRow("thanks.well", "谢谢您。已经记下了。祝您安好。"),
    ),
    view_parts.Form({"segment": "thanks.well"}),
    30,
)
VOICE_REFUSED = replace(
    VOICE,
    form=view_parts.Form(
        {"segment": "elder.question", "dialect": "沪"},
        {"spoken_by": "voice_speaker_missing", "agreed": "voice_not_agreed", "sound": "sound_too_short"},
    ),
)
TERMINALS = screens_views.KiosksPage(
    (
        screens_views.KioskRow(1, "3 栋大堂", "文昌花园", NOW - 300 * HOUR, NOW),
        screens_views.KioskRow(2, "门岗", "文昌花园", NOW - 900 * HOUR, None, NOW - HOUR),
    ),
    (("wenchang", "文昌花园"),),
    view_parts.Form({"place": ""}, {"place": "place_missing"}),
    "https://kaimen.example/kiosk/abcdefghijklmnopqrstuvwxyz012345",
)


def kiosk(step: screens_views.KioskStep, **errors: str) -> Callable[[], object]:
    return lambda: screens_views.KioskPage(step, "/kiosk/abcdefghijklmnopqrst", view_parts.Form({}, errors))


def away() -> screens_views.ResidentPage:
    return screens_views.ResidentPage(
        "3-1-1201", family_views.FamilyState.AWAY, EvidenceKind.OPENING, NOW - 40 * HOUR, None, True, None, 7,
        NOW - 20 * HOUR, NOW + 90 * HOUR, "王小明",
    )  # fmt: skip


def unseen() -> screens_views.ResidentPage:
    return screens_views.ResidentPage(
        "3-1-1201", family_views.FamilyState.UNKNOWN, EvidenceKind.OPENING, NOW - 40 * HOUR, LINE, False, NOW - 5 * HOUR,
        well_form=view_parts.Form({}, {"": "resident_too_often"}), away_form=view_parts.Form({}, {"to": "absence_needs_end"}),
    )  # fmt: skip


RIGHTS = rights_views.RightsPage(
    view_parts.HouseholdName("h-wang", "3-1-1201", "3", "1", "1201", name="王*英"),
    (
        rights_views.PersonView("p-wang", "王*英", "resident"),
        rights_views.PersonView("p-son", "王*明", "family"),
    ),
    (
        rights_views.HoldView(
            1, "区法院", "(2025)民初12号", NOW + 999 * HOUR, NOW, True, False, False, True, True
        ),
    ),
    (rights_views.DeletionView("p-old", NOW, "self"),),
    ("self", "heir", "authority"),
)
RETENTION = rights_views.RetentionPage(
    (2023, 2024, 2025, 2026),
    (rights_views.PeriodRow("door_events", 365, 120, 1095, (0, 12, 90_000, 4_000_000), 88),
     rights_views.PeriodRow("passes", 90, 30, 366, ())),
    (rights_views.RunView(NOW, "service", False, 1200, ("door_events",)), rights_views.RunView(NOW, "command-line", True, 12, ())),
)  # fmt: skip
_DIRECTOR: dict[str, Any] = {"role": Role.PROPERTY_DIRECTOR, "duty": None, "demo": False}
_PLACES = (
    shell_views.Place("wenchang", "文昌花园", 3, True),
    shell_views.Place("binhe", "滨河苑", 1),
    shell_views.Place("new", "东湖新村", 0),
)
_HALL: dict[str, Any] = {"user": None, "role": None, "nav": (), "duty": None, "demo": False}
PAGES: dict[str, tuple[str, Callable[[], object], dict[str, Any]]] = {
    "portfolio": ("portfolio.html", lambda: PORTFOLIO, {**_DIRECTOR, "nav": nav("", "portfolio")}),
    "portfolio-empty": ("portfolio.html", lambda: screens_views.PortfolioPage(()), _DIRECTOR),
    "committee": ("committee.html", lambda: COMMITTEE, {"role": Role.COMMUNITY_COMMITTEE, "nav": nav("", "committee")}),
    "committee-empty": ("committee.html", lambda: screens_views.CommitteePage((), NOW), {}),
    "resident": ("resident.html", lambda: HOME, resident("resident")),
    "resident-away": ("resident.html", away, resident("resident")),
    "resident-unseen": ("resident.html", unseen, resident("resident")),
    "resident-unwatched": (
        "resident.html", lambda: screens_views.ResidentPage("3-1-1201", family_views.FamilyState.UNWATCHED), resident("resident"),
    ),
    "resident-cards": ("resident_cards.html", lambda: CARDS, resident("resident_cards")),
    "resident-pass": (
        "resident_cards.html",
        lambda: screens_views.CardsPage((), (), view_parts.Form(), "48213907", "pass", NOW + 24 * HOUR),
        resident("resident_cards"),
    ),
    "resident-consents": ("resident_consents.html", lambda: CONSENTS, resident("resident_consents")),
    "resident-looked": ("resident_looked.html", lambda: LOOKS, resident("resident_looked")),
    "rights": ("rights.html", lambda: RIGHTS, {"current": "households"}),
    "reviews": ("reviews.html", lambda: rights_views.ReviewsPage((rights_views.ReviewView(1, "邻居〔已删除〕有钥匙", "case_entries", NOW),)), {}),
    "reviews-empty": ("reviews.html", lambda: rights_views.ReviewsPage(()), {}),
    "retention": ("retention.html", lambda: RETENTION, {"current": "admin"}),
    "desk-notes": ("desk_notes.html", lambda: NOTES, {"places": _PLACES}),
    "desk-notes-empty": ("desk_notes.html", lambda: screens_views.DeskNotesPage(()), {}),
    "voice": ("voice.html", lambda: VOICE, {"role": Role.FAMILY, "demo": False}),
    "voice-refused": ("voice.html", lambda: VOICE_REFUSED, {"role": Role.FAMILY, "demo": False}),
    "kiosks": ("kiosks.html", lambda: TERMINALS, {"role": Role.ADMIN}),
    "kiosk": ("kiosk.html", kiosk(screens_views.KioskStep.START), _HALL),
    "kiosk-well": ("kiosk.html", kiosk(screens_views.KioskStep.WELL, code="kiosk_code_unknown"), _HALL),
    "kiosk-away": ("kiosk.html", kiosk(screens_views.KioskStep.AWAY, days="kiosk_days"), _HALL),
    "kiosk-taken": ("kiosk.html", kiosk(screens_views.KioskStep.TAKEN), _HALL),
    "kiosk-noted": ("kiosk.html", kiosk(screens_views.KioskStep.NOTED), _HALL),
    "kiosk-busy": ("kiosk.html", kiosk(screens_views.KioskStep.BUSY), _HALL),
    "kiosk-gone": ("kiosk.html", kiosk(screens_views.KioskStep.GONE), _HALL),
}  # fmt: skip
