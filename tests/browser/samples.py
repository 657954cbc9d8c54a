"""Invented people on an invented street, as view-models: nothing enters, every page in honest states leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from console.views import admin as admin_views
from console.views import agreements as agreements_views
from console.views import buildings as buildings_views
from console.views import case as case_views
from console.views import channels as channels_views
from console.views import demo as demo_views
from console.views import devices as devices_views
from console.views import doors as doors_views
from console.views import evidence as evidence_views
from console.views import family as family_views
from console.views import grounds as grounds_views
from console.views import household as household_views
from console.views import identity as identity_views
from console.views import log as log_views
from console.views import morning as morning_views
from console.views import parts as view_parts
from console.views import police as police_views
from console.views import shell as shell_views
from console.views import sign_in as sign_in_views
from console.views import tasks as tasks_views
from console.views import tickets as tickets_views
from console.views.communities import CommunityPage, Step
from console.views.doors import DenialRow, HomeNews, PresenceView, RentalRow, SignalRow
from console.views.household_books import BookCard, BookDoor, BookLease, BookPerson, BooksPage, NewHomePage
from console.views.household_list import ListFault, ListPage
from console.views.phones import HomePhonePage, PhonePerson
from console.views.places import PlaceRow, PlacesPage
from console.views.technical import AwaitedDevice, CauseCard, CutRow, TechnicalPage, UnseenLine
from kaimen.vocabulary import (
    CaseState,
    Contacted,
    EvidenceKind,
    Outcome,
    QuarantineReason,
    Role,
    Stage,
    TaskKind,
    TaskState,
)
from tests.browser import samples_guard, samples_look_back, samples_screens

#: 21 November 2026, 08:42:17 in Shanghai.
NOW = datetime(2026, 11, 21, 0, 42, 17, tzinfo=UTC)
HOUR_MS = 3_600_000
ALL_OUTCOMES = (
    Outcome.WELL,
    Outcome.HELPED,
    Outcome.NO_ANSWER,
    Outcome.AWAY,
    Outcome.HOSPITAL,
    Outcome.SENSOR_FAULT,
    Outcome.DECEASED,
)


def ago(*, days: float = 0, hours: float = 0, minutes: float = 0) -> datetime:
    return NOW - timedelta(days=days, hours=hours, minutes=minutes)


def nav(current: str) -> tuple[shell_views.NavGroup, ...]:
    def item(name: str, url: str, count: int | None = None) -> shell_views.NavItem:
        return shell_views.NavItem(name, url, count, current=name == current)

    return (
        shell_views.NavGroup(
            "service",
            (item("alarms", "/alarms", 4), item("morning", "/morning", 9), item("tasks", "/tasks", 3)),
        ),
        shell_views.NavGroup(
            "manage",
            (
                item("buildings", "/buildings"),
                item("households", "/households"),
                item("access_log", "/access-log"),
                item("devices", "/devices", 1),
                item("quarantine", "/quarantine", 2),
            ),
        ),
        shell_views.NavGroup(
            "judge",
            (
                item("police", "/police"),
                item("looked", "/looked"),
                item("demo", "/demo"),
                item("admin", "/admin"),
            ),
        ),
    )


def shell(language: str = "zh", *, current: str = "", **changes: Any) -> shell_views.Shell:
    values: dict[str, Any] = {
        "community": "文昌花园社区" if language == "zh" else "Wenchang Garden",
        "language": language,
        "now": NOW,
        "csrf": "sample",
        "path": "/",
        "user": "李敏",
        "user_id": 1,
        "role": Role.PROPERTY_CLERK,
        "nav": nav(current),
        "demo": True,
        "duty": shell_views.Duty("李敏", NOW + timedelta(hours=7, minutes=18), 2),
        "version": "1",
    }
    return shell_views.Shell(**{**values, **changes})


def home(
    label: str, name: str, age: int | None = None, *, grid: str = "4", alone: bool = True
) -> view_parts.HouseholdName:
    building, unit, room = label.split("-")
    return view_parts.HouseholdName(
        id=label,
        label=label,
        building=building,
        unit=unit,
        room=room,
        name=name,
        age=age,
        lives_alone=alone,
        grid=grid,
        url=f"/households/{label}",
    )


WANG = home("3-1-1201", "王*英", 82)
ZHAO = home("7-2-0302", "赵*国", 77)
SUN = home("1-3-0601", "孙*兰", 85)
ZHENG = home("6-1-0701", "郑*", 79)
LONG = home("12-10-3302", "阿卜杜热西提·买买提*·依明", 101)

WANG_LINE = view_parts.DayLine(
    ago(days=3, hours=3.4), NOW, int(75.4 * HOUR_MS), Stage.VISIT, evidence_kind=EvidenceKind.OWN_CREDENTIAL
)
ZHAO_LINE = view_parts.DayLine(
    ago(hours=51.2),
    NOW,
    int(51.2 * HOUR_MS),
    Stage.CALL,
    signs=tuple(view_parts.LifeSign(ago(hours=h), view_parts.SignKind.WATER) for h in (31, 25, 20, 14.5, 11)),
)
SUN_LINE = view_parts.DayLine(
    ago(hours=57.6),
    NOW,
    int(48.6 * HOUR_MS),
    Stage.CALL,
    blind=(view_parts.Span(ago(hours=45.6), ago(hours=36.6)),),
)
UNKNOWN_LINE = view_parts.DayLine(
    ago(hours=14), NOW, 11 * HOUR_MS, known=False, blind=(view_parts.Span(ago(hours=3), NOW),)
)
ZHENG_LINE = view_parts.DayLine(
    ago(hours=30),
    NOW,
    30 * HOUR_MS,
    Stage.WARNING,
    signs=(view_parts.LifeSign(ago(hours=28)), view_parts.LifeSign(ago(hours=24))),
)
GOOD_LINE = view_parts.DayLine(
    ago(hours=2.5), NOW, int(2.5 * HOUR_MS), evidence_kind=EvidenceKind.OWN_CREDENTIAL
)
AWAY_LINE = view_parts.DayLine(ago(hours=40), NOW, 0, away_until=NOW + timedelta(days=3))
LONG_LINE = view_parts.DayLine(
    ago(days=11.3),
    NOW,
    int(9.1 * 24 * HOUR_MS),
    Stage.VISIT,
    blind=(view_parts.Span(ago(days=6), ago(days=3.8)),),
)

WANG_GROUNDS = grounds_views.Grounds(
    direction="in",
    heard_at=ago(minutes=0.4),
    presumed=view_parts.Presumed.IN,
    presumed_by="direction",
    has_sensors=True,
    usual=grounds_views.Usual(2, 4, 31 * HOUR_MS),
)
ZHAO_GROUNDS = grounds_views.Grounds(
    presumed=view_parts.Presumed.IN,
    presumed_by="activity_after",
    direction="in",
    has_sensors=True,
    last_sign=view_parts.LifeSign(ago(hours=11), view_parts.SignKind.WATER),
)
SUN_GROUNDS = grounds_views.Grounds(blind_ms=9 * HOUR_MS, heard_at=ago(minutes=1))


def row(number: int, mark: view_parts.Mark, **changes: Any) -> case_views.CaseRow:
    values: dict[str, Any] = {
        "id": number,
        "number": f"2026-1121-{number:03d}",
        "mark": mark,
        "state": CaseState.OPEN,
        "url": f"/alarms?tab=all&case={number}",
        "page_url": f"/cases/{number}",
    }
    return case_views.CaseRow(**{**values, **changes})


WANG_ROW = row(
    7,
    view_parts.Mark.HIGH,
    household=WANG,
    line=WANG_LINE,
    grounds=WANG_GROUNDS,
    act=TaskKind.VISIT,
    state=CaseState.WORKING,
    due_at=NOW + timedelta(minutes=72),
    holder="陈伟",
    holder_role=Role.NEIGHBOUR_WATCHER,
)
ZHAO_ROW = row(
    6,
    view_parts.Mark.MID,
    household=ZHAO,
    line=ZHAO_LINE,
    grounds=ZHAO_GROUNDS,
    act=TaskKind.CALL,
    due_at=NOW + timedelta(minutes=38),
)
SUN_ROW = row(
    5,
    view_parts.Mark.MID,
    household=SUN,
    line=SUN_LINE,
    grounds=SUN_GROUNDS,
    act=TaskKind.CALL,
    state=CaseState.OWNED,
    due_at=NOW - timedelta(minutes=12),
    holder="李敏",
)
TECHNICAL = grounds_views.Technical("gateway", "gw-0504", "5 栋 4 单元", ago(hours=3), 12, 4)
TECHNICAL_ROW = row(
    4,
    view_parts.Mark.UNKNOWN,
    technical=TECHNICAL,
    line=UNKNOWN_LINE,
    act=TaskKind.DEVICE_CHECK,
    due_at=NOW + timedelta(minutes=20),
    holder="物业工程",
)
LONG_ROW = row(
    3,
    view_parts.Mark.HIGH,
    household=LONG,
    line=LONG_LINE,
    grounds=grounds_views.Grounds(
        not_seen_since=ago(days=3.8), presumed=view_parts.Presumed.OUT, direction="out"
    ),
    act=TaskKind.VISIT,
    due_at=NOW - timedelta(hours=26),
    unacknowledged=True,
)
PROPOSED_ROW = row(
    2,
    view_parts.Mark.HIGH,
    household=ZHENG,
    line=GOOD_LINE,
    proposal_at=ago(hours=2.5),
    proposal_by="evidence",
    act=TaskKind.CONFIRM_CLOSING,
    due_at=NOW + timedelta(minutes=25),
    holder="李敏",
)
HELD_ROW = row(
    1,
    view_parts.Mark.LOW,
    household=ZHENG,
    line=ZHENG_LINE,
    held_until=NOW + timedelta(hours=5),
    held_reason="女儿中午到家",
)
CLOSED_ROW = row(
    8,
    view_parts.Mark.MID,
    household=SUN,
    state=CaseState.CLOSED,
    outcome=Outcome.LATE_EVIDENCE,
    closed_at=ago(hours=1),
)

TIMELINE = (
    case_views.TimelineEntry(ago(minutes=27), view_parts.Phrase("claimed"), "陈伟", Role.NEIGHBOUR_WATCHER),
    case_views.TimelineEntry(
        ago(minutes=40),
        view_parts.Phrase("no_answer_next_step"),
        "李敏",
        Role.PROPERTY_CLERK,
        "女儿说两天没联系上，也不知外出",
    ),
    case_views.TimelineEntry(
        ago(hours=3.4), view_parts.Phrase("raised", {"stage": 3, "inactive_ms": 72 * HOUR_MS})
    ),
    case_views.TimelineEntry(
        ago(hours=24),
        view_parts.Phrase("no_answer_try_again"),
        "李敏",
        Role.PROPERTY_CLERK,
        "振铃无人接，两次",
    ),
    case_views.TimelineEntry(ago(hours=27.4), view_parts.Phrase("raised", {"stage": 2})),
    case_views.TimelineEntry(ago(hours=48.2), view_parts.Phrase("listed")),
    case_views.TimelineEntry(ago(hours=51.4), view_parts.Phrase("opened", {"stage": 1})),
)
CONTACTS = (
    view_parts.Contact("王*", "女儿", "13800000001"),
    view_parts.Contact("陈伟", "neighbour_watcher", "", "13800000002"),
    view_parts.Contact("周*成", "stairwell_liaison"),
    view_parts.Contact("刘*", "safety_guardian", "", "13800000004"),
)


def chart() -> evidence_views.EvidenceChart:
    openings: list[evidence_views.Opening] = []
    for back in range(13, 3, -1):
        openings += [
            evidence_views.Opening(ago(days=back, hours=h), kind)
            for h, kind in (
                (1.2 + back % 3, evidence_views.OpeningKind.OWN_CREDENTIAL),
                (-2.5, evidence_views.OpeningKind.CONTACT),
                (
                    -8 + back % 2,
                    evidence_views.OpeningKind.FAMILY_CREDENTIAL
                    if back % 4 == 0
                    else evidence_views.OpeningKind.OWN_CREDENTIAL,
                ),
            )
        ]
    openings = [o for o in openings if not ago(days=9.4) < o.at < ago(days=7.6)]
    openings += [
        evidence_views.Opening(ago(days=3, hours=3.4), evidence_views.OpeningKind.OWN_CREDENTIAL, "in"),
        evidence_views.Opening(ago(days=10), evidence_views.OpeningKind.VERIFIED),
        evidence_views.Opening(ago(hours=20), evidence_views.OpeningKind.STAFF),
        evidence_views.Opening(ago(days=5.2), evidence_views.OpeningKind.COUNTER),
    ]
    return evidence_views.EvidenceChart(
        last_day=date(2026, 11, 21),
        now=NOW,
        openings=tuple(sorted(openings, key=lambda o: o.at)),
        signs=tuple(
            view_parts.LifeSign(ago(days=d, hours=h), view_parts.SignKind.WATER)
            for d in range(4, 14)
            for h in (0.5, 3, -4)
        ),
        blind=(view_parts.Span(ago(days=6.3), ago(days=5.8)),),
        absences=(view_parts.Span(ago(days=9.4), ago(days=7.6)),),
        crossings=(
            evidence_views.StageMark(ago(days=2, hours=3.4), Stage.WARNING),
            evidence_views.StageMark(ago(days=1, hours=3.4), Stage.CALL),
            evidence_views.StageMark(ago(hours=3.4), Stage.VISIT),
        ),
    )


def visit_task(form: view_parts.Form | None = None) -> case_views.TaskView:
    return case_views.TaskView(
        31,
        TaskKind.VISIT,
        TaskState.CLAIMED,
        "neighbour_watcher",
        NOW + timedelta(minutes=72),
        household=WANG,
        case_number="2026-1121-007",
        mark=view_parts.Mark.HIGH,
        url="/tasks/31",
        assignee="陈伟",
        outcomes=ALL_OUTCOMES,
        form=form,
    )


CALL_DONE = case_views.TaskView(
    30,
    TaskKind.CALL,
    TaskState.DONE,
    "property_clerk",
    ago(hours=20),
    household=WANG,
    case_number="2026-1121-007",
    url="/tasks/30",
    done_at=ago(minutes=40),
    done_by="李敏",
    outcome=Outcome.NO_ANSWER,
    note="女儿说两天没联系上，也不知外出",
)
NEXT = case_views.NextStep(
    TaskKind.VISIT,
    NOW + timedelta(minutes=72),
    "陈伟",
    Role.NEIGHBOUR_WATCHER,
    ago(minutes=27),
    None,
    view_parts.Act("record_visit", "/cases/7#tasks"),
    (view_parts.Act("reassign", "/cases/7"), view_parts.Act("hand_over_police", "/cases/7", key="")),
)


def wang_case(**changes: Any) -> case_views.CaseView:
    values: dict[str, Any] = {
        "row": WANG_ROW,
        "opened_at": ago(hours=51.4),
        "policy_version": 1,
        "next_step": NEXT,
        "timeline": TIMELINE,
    }
    return case_views.CaseView(**{**values, **changes})


TABS = tuple(
    case_views.TabItem(tab, f"/alarms?tab={tab.value}", count)
    for tab, count in (
        (case_views.Tab.ALL, 4),
        (case_views.Tab.UNCLAIMED, 1),
        (case_views.Tab.WORKING, 3),
        (case_views.Tab.HELD, 0),
        (case_views.Tab.ON_TEST, 1),
        (case_views.Tab.CLOSED, 6),
    )
)
ALARMS = case_views.AlarmsPage(
    case_views.Tab.ALL,
    TABS,
    (WANG_ROW, ZHAO_ROW, SUN_ROW, TECHNICAL_ROW),
    selected=wang_case(),
    watched_count=242,
)
CUT = CutRow("文昌苑", ago(hours=1), 34, tuple(range(300, 312)), ago(hours=1))
ODD_ALARMS = case_views.AlarmsPage(
    case_views.Tab.ALL,
    TABS,
    (LONG_ROW, PROPOSED_ROW, ZHAO_ROW, HELD_ROW, CLOSED_ROW, CUT),
    selected=case_views.CaseView(
        PROPOSED_ROW, ago(days=3), 1, None, TIMELINE[2:], confirm_form=view_parts.Form()
    ),
    chosen=True,
)
MANY_ALARMS = case_views.AlarmsPage(
    case_views.Tab.ALL,
    TABS,
    tuple(
        row(
            100 + n,
            (view_parts.Mark.HIGH, view_parts.Mark.MID, view_parts.Mark.LOW)[n // 67 % 3],
            household=home(f"{n % 9 + 1}-{n % 4 + 1}-{n % 18 + 1:02d}0{n % 3 + 1}", "周*成", 70 + n % 25),
            line=(WANG_LINE, ZHAO_LINE, ZHENG_LINE)[n // 67 % 3],
            grounds=ZHAO_GROUNDS,
            act=TaskKind.CALL,
            due_at=NOW + timedelta(minutes=n),
        )
        for n in range(200)
    ),
)
EMPTY_ALARMS = case_views.AlarmsPage(
    case_views.Tab.ALL, tuple(case_views.TabItem(t.tab, t.url, 0) for t in TABS), (), watched_count=242
)


def household_page() -> household_views.HouseholdPage:
    return household_views.HouseholdPage(
        WANG,
        WANG_LINE,
        WANG_GROUNDS,
        chart(),
        watched_from=ago(days=200),
        hard_of_hearing=True,
        openings=tuple(reversed(chart().openings))[:8],
        absences=(
            household_views.AbsenceView(1, ago(days=9.4), ago(days=7.6), "女儿", ago(days=10), "relatives"),
        ),
        absence_form=view_parts.Form(errors={"to": "absence_too_long"}, values={"to": "2027-03-01T08:00"}),
        consents=(
            household_views.ConsentView("watch", "本人", ago(days=200)),
            household_views.ConsentView("notify_family", "本人", ago(days=200)),
            household_views.ConsentView("share_with_police"),
            household_views.ConsentView("exact_times", "本人", ago(days=200), ago(days=20)),
        ),
        devices=DEVICES[:2],
        contacts=CONTACTS,
        case_url="/cases/7",
        case_number="2026-1121-007",
        past_cases=(CLOSED_ROW,),
        log_url="/access-log?door=3-1-1201",
        looked_url="/looked?household=3-1-1201",
        presence_form=view_parts.Form(errors={"purpose": "purpose_missing"}),
        presence_purposes=("call_back", "visit"),
    )


DEVICES = (
    household_views.DeviceRow(
        "dc-3-1-1201",
        "contact",
        "DS-K2604",
        "3-1-1201",
        True,
        ago(minutes=0.5),
        180_000,
        "gw-0301",
        battery_percent=83,
        signal_dbm=-67,
        firmware="2.1.4",
        clock="ntp",
        household_count=1,
        first_heard_at=ago(hours=2),
        on_trial=True,
        moved_at=ago(minutes=0.5),
    ),
    household_views.DeviceRow(
        "pir-3-1-1201",
        "motion",
        "PIR-2",
        "3-1-1201 客厅",
        True,
        ago(minutes=4),
        5_400_000,
        "gw-0301",
        battery_percent=12,
        battery_low_since=ago(hours=30),
        clock="rtc",
        unsent=3,
        household_count=1,
    ),
    household_views.DeviceRow(
        "gw-0504",
        "gateway",
        "GW-9",
        "5 栋 4 单元",
        False,
        ago(hours=3),
        180_000,
        unknown_since=ago(hours=2.95),
        cause="gateway",
        household_count=12,
    ),
    household_views.DeviceRow(
        "dc-5-4-0101",
        "contact",
        "DS-K2604",
        "5-4-0101",
        False,
        ago(hours=3),
        180_000,
        "gw-0504",
        cause="gateway",
        lost=2,
        fault=True,
        household_count=1,
    ),
    household_views.DeviceRow("dc-9-9-9999", "controller", "", "", False, None, 180_000),
)


BUILDING_ROWS = (
    buildings_views.BuildingRow("1", "/buildings?building=1", "3", 36, 9, (), 0, buildings_views.Position(0, 0, 58, 14)),
    buildings_views.BuildingRow(
        "3", "/buildings?building=3", "3", 36, 11, ((view_parts.Mark.HIGH, 1), (view_parts.Mark.LOW, 4)), 0,
        buildings_views.Position(74, 0, 26, 22), chosen=True,
    ),
    buildings_views.BuildingRow(
        "5", "/buildings?building=5", "4", 72, 20, ((view_parts.Mark.UNKNOWN, 4),), 5, buildings_views.Position(0, 60, 58, 14, -8)
    ),
    buildings_views.BuildingRow("7", "/buildings?building=7", "4", 24, 6, ((view_parts.Mark.MID, 2),), 1, buildings_views.Position(88, 64, 58, 14)),
    buildings_views.BuildingRow("西区商住楼", "/buildings?building=x", "", 12, 0),
)  # fmt: skip


def line_of(
    household: view_parts.HouseholdName, line: view_parts.DayLine | None, **changes: Any
) -> grounds_views.HouseholdLine:
    return grounds_views.HouseholdLine(household, line, **changes)


FOUND = morning_views.MorningResult(
    SUN, TaskKind.CALL, Outcome.NO_ANSWER, ago(minutes=20), "/tasks/50", by="李敏"
)  # fmt: skip
MORNING = morning_views.MorningPage(
    datetime(2026, 11, 21, 0, 30, tzinfo=UTC),
    242,
    (
        morning_views.MorningColumn(
            morning_views.MorningKind.VISIT,
            1,
            (
                morning_views.MorningCard(
                    line_of(WANG, WANG_LINE, grounds=WANG_GROUNDS, case_url="/cases/7", holder="陈伟"),
                    morning_views.MorningTask(
                        71,
                        TaskKind.VISIT,
                        ago(minutes=-15),
                        "陈伟",
                        morning_views.QUICK_RESULTS[TaskKind.VISIT],
                    ),
                ),
            ),
        ),
        morning_views.MorningColumn(
            morning_views.MorningKind.CALL,
            2,
            (
                morning_views.MorningCard(
                    line_of(ZHAO, ZHAO_LINE, grounds=ZHAO_GROUNDS, case_url="/cases/6"),
                    morning_views.MorningTask(
                        61, TaskKind.CALL, ago(minutes=8), results=morning_views.QUICK_RESULTS[TaskKind.CALL]
                    ),
                    next_up=True,
                ),
                morning_views.MorningCard(
                    line_of(SUN, SUN_LINE, case_url="/cases/5", holder="李敏"), last=FOUND
                ),
            ),
        ),
        morning_views.MorningColumn(
            morning_views.MorningKind.WARNING,
            6,
            (
                morning_views.MorningCard(
                    line_of(
                        ZHENG,
                        ZHENG_LINE,
                        grounds=grounds_views.Grounds(
                            has_sensors=True,
                            last_sign=view_parts.LifeSign(ago(hours=24), view_parts.SignKind.MOTION),
                        ),
                    )
                ),
                morning_views.MorningCard(line_of(LONG, ZHENG_LINE)),
            ),
        ),
        morning_views.MorningColumn(
            morning_views.MorningKind.UNKNOWN,
            4,
            (morning_views.MorningCard(line_of(home("5-4-0101", "何*芬", 90), UNKNOWN_LINE)),),
        ),
        morning_views.MorningColumn(morning_views.MorningKind.AWAY, 7),
        morning_views.MorningColumn(morning_views.MorningKind.NORMAL, 214),
    ),
    next_list_at=datetime(2026, 11, 21, 9, tzinfo=UTC),
    grids=(view_parts.Choice("3", "第 3 网格"), view_parts.Choice("4", "第 4 网格")),
    results=(
        FOUND,
        morning_views.MorningResult(
            LONG, TaskKind.VISIT, Outcome.WELL, ago(hours=1), "/tasks/49", Contacted.SAW, "楼长张建国", "李敏"
        ),
    ),
    witness="李敏",
)
DOOR_LIST = morning_views.DoorListPage(
    NOW,
    (
        line_of(SUN, SUN_LINE, case_number="2026-1121-005"),
        line_of(WANG, WANG_LINE, case_number="2026-1121-007"),
        line_of(ZHAO, ZHAO_LINE, case_number="2026-1121-006"),
        line_of(LONG, LONG_LINE),
    ),
    "李敏",
)
TASKS = tasks_views.TasksPage(
    (
        visit_task(),
        case_views.TaskView(
            32,
            TaskKind.CALL,
            TaskState.OPEN,
            "property_clerk",
            NOW + timedelta(hours=2),
            start_at=NOW + timedelta(minutes=18),
            household=ZHAO,
            case_number="2026-1121-006",
            mark=view_parts.Mark.MID,
            url="/tasks/32",
        ),
    ),
    (CALL_DONE,),
)
FIELD = tasks_views.FieldPage(
    visit_task(view_parts.Form()),
    WANG,
    "王奶奶",
    WANG_LINE,
    "文昌花园 3 栋 1 单元 1201",
    hard_of_hearing=True,
    begin_url="/tasks/31/begin",
    contacts=CONTACTS,
    duty_line=view_parts.DutyLine("0571-0000 0000", "24 小时，夜间转门岗"),
)
FIELD_FORM = tasks_views.FieldPage(
    visit_task(
        view_parts.Form(
            {"outcome": "well", "note": "在家看电视"},
            {"contacted": "how_is_missing", "witness": "witness_is_missing"},
        )
    ),
    WANG,
    "王奶奶",
    WANG_LINE,
    "文昌花园 3 栋 1 单元 1201",
    contacts=CONTACTS,
    duty_line=view_parts.DutyLine("0571-0000 0000", "24 小时，夜间转门岗"),
)


FIELD_CALL = tasks_views.FieldPage(
    case_views.TaskView(
        32,
        TaskKind.CALL,
        TaskState.CLAIMED,
        "property_clerk",
        NOW + timedelta(minutes=38),
        household=ZHAO,
        case_number="2026-1121-006",
        mark=view_parts.Mark.MID,
        outcomes=(Outcome.WELL, Outcome.HELPED, Outcome.NO_ANSWER, Outcome.AWAY, Outcome.HOSPITAL),
        form=view_parts.Form(),
    ),
    ZHAO,
    "赵建国",
    ZHAO_LINE,
    "文昌花园 7 栋 2 单元 0302",
    contacts=(view_parts.Contact("赵建国", "resident", "", "13800000010"), *CONTACTS),
)


def log_row(hours: float, type_: str, **changes: Any) -> log_views.LogRow:
    at = ago(hours=hours)
    return log_views.LogRow(
        **{
            "occurred_at": at,
            "received_at": at + timedelta(seconds=1),
            "door": "3-1-1201",
            "type": type_,
            "device_id": "dc-3-1-1201",
            **changes,
        }
    )


LOG_ROWS = (
    log_row(
        1,
        "DoorPhysicalState",
        state="Open",
        direction="in",
        method="card",
        whose="resident",
        credential="c_7Qm2",
    ),
    log_row(2, "AccessTaken", direction="in", method="card", whose="resident", credential="c_7Qm2"),
    log_row(
        5,
        "Denied",
        reason="expired",
        method="qr",
        whose="visitor",
        credential="c_90xz",
        door="3-1 单元门",
        device_id="ac-3-1",
    ),
    log_row(
        30,
        "DoorPhysicalState",
        state="Closed",
        received_at=ago(hours=21),
        replayed=True,
        late=True,
        clock="rtc",
    ),
    log_row(31, "VendorSpecial7", method="face"),
)
LOG = log_views.AccessLogPage(
    log_views.LogFilter(door="3-1-1201", from_text="2026-11-20T00:00", to_text="2026-11-19T00:00"),
    LOG_ROWS,
    (view_parts.Choice("3-1-1201", "3-1-1201"), view_parts.Choice("ac-3-1", "3-1 单元门")),
    (view_parts.Choice("3", "3"),),
    (view_parts.Choice("1", "1"),),
    ("DoorPhysicalState", "AccessTaken", "Denied"),
    ("card", "face", "qr"),
    {"to": "from_after_to"},
    1873,
    None,
    "/access-log?after=1",
)
TECHNICAL_PAGE = TechnicalPage(
    causes=(
        CauseCard("2026-1121-004", 4, TECHNICAL, ago(hours=-1), "李敏"),
        CauseCard(
            "2026-1121-009",
            9,
            grounds_views.Technical(
                "device", "door-12", "9 栋 1 单元 302", ago(hours=1), 1, never_heard=True
            ),
            ago(minutes=5),
            overdue=True,
        ),
        CauseCard(
            "2026-1121-010",
            10,
            grounds_views.Technical("quarantine", "wenchang", "文昌里", ago(hours=2), 0),
        ),
    ),
    causes_total=4,
    people=(
        UnseenLine(
            WANG,
            3,
            ago(hours=75),
            TaskKind.VISIT,
            Role.NEIGHBOUR_WATCHER,
            "陈芳",
            ago(hours=1),
            ago(hours=-1),
            "/cases/7",
            "2026-1121-007",
            "gateway",
        ),
        UnseenLine(WANG, 2, ago(hours=49), TaskKind.CALL, Role.PROPERTY_CLERK, due_at=ago(hours=-2)),
        UnseenLine(WANG, 1, ago(hours=25)),
    ),
    people_total=120,
    step_counts=(90, 25, 5),
    waiting_count=12,
    waiting_until=ago(minutes=-3),
    not_known_count=130,
    awaited=(
        AwaitedDevice(
            "door-12", "controller", "9 栋 1 单元 302", "文昌里", ago(hours=1), "gw-0901", 1, overdue=True
        ),
        AwaitedDevice("motion-3", "motion", "", "文昌里", ago(hours=-20)),
    ),
    awaited_total=3,
)
QUARANTINE = devices_views.QuarantinePage(
    (
        devices_views.QuarantineRow(
            1,
            ago(hours=2),
            "kaimen/v1/a/3/wenchang/dc-9-9-9999/evt",
            QuarantineReason.UNKNOWN_DEVICE,
            "dc-9-9-9999 is not in the registry",
            213,
            18,
            "dc-9-9-9999",
            '{"v":1,"boot":1763700000000,"events":[{"seq":1,',
            replay_url="/quarantine/1/replay",
        ),
        devices_views.QuarantineRow(
            2,
            ago(hours=9),
            "kaimen/v1/a/3/wenchang/dc-3-1-1201/evt",
            QuarantineReason.MALFORMED_JSON,
            "byte 117: expected a comma",
            118,
            sample='{"v":1,"boot":17637',
            replayed_at=ago(hours=8),
        ),
    ),
    (
        devices_views.QuarantineGroup(
            QuarantineReason.WRONG_SITE, "dc-3-1-1202", 5_000, ago(hours=30), ago(hours=1), 4_999, asked=12
        ),
    ),
    5_001,
)


def family(state: family_views.FamilyState, **changes: Any) -> family_views.FamilyPage:
    values: dict[str, Any] = {
        "household": WANG,
        "relation": "妈妈",
        "state": state,
        "phone": "13800000009",
        "spoke_form": view_parts.Form(),
        "away_form": view_parts.Form(),
        "look_form": view_parts.Form(),
    }
    return family_views.FamilyPage((family_views.FamilyHome(**{**values, **changes}),))


FAMILY_GOOD = family(
    family_views.FamilyState.GOOD,
    line=GOOD_LINE,
    evidence_at=ago(hours=0.5),
    evidence_kind=EvidenceKind.OWN_CREDENTIAL,
    direction="in",
)
FAMILY_CONTACT = family(
    family_views.FamilyState.GOOD,
    evidence_at=ago(hours=16),
    evidence_kind=EvidenceKind.OPENING,
    relation="爸爸",
)
FAMILY_DAY2 = family(
    family_views.FamilyState.DAY2,
    line=ZHAO_LINE,
    presumed=view_parts.Presumed.IN,
    last_sign=view_parts.LifeSign(ago(hours=11), view_parts.SignKind.WATER),
    worker="李敏",
    act=TaskKind.CALL,
    result_by=NOW + timedelta(minutes=28),
    asked_at=ago(minutes=5),
    duty_line=view_parts.DutyLine("0571-0000 0000", "24 小时，夜间转门岗"),
)
FAMILY_UNKNOWN = family(
    family_views.FamilyState.UNKNOWN,
    line=UNKNOWN_LINE,
    evidence_at=ago(hours=14),
    evidence_kind=EvidenceKind.OWN_CREDENTIAL,
    unknown_cause="gateway",
    unknown_since=ago(hours=3),
    act=TaskKind.CALL,
    result_by=NOW + timedelta(hours=3, minutes=18),
)
FAMILY_AWAY = family(
    family_views.FamilyState.AWAY,
    line=AWAY_LINE,
    away_until=NOW + timedelta(days=3),
    declared=(ago(days=2), NOW + timedelta(days=3)),
    looked=(admin_views.LookRow(ago(hours=5), "李敏", "property_clerk", "household", "care"),),
)

TICKET = tickets_views.TicketView(
    12, "L-12", ago(days=1), "刘警官", "granted", "missing_person", "A4401062026110012", "case_file", "ac-3-1", (),
    "", "", ago(days=2), ago(days=1), decider="周警官", decided_at=ago(days=1),
)  # fmt: skip
EMERGENCY = replace(
    TICKET, id=13, number="L-13", emergency=True, basis="emergency", reason="老人走失，天黑前要找到", decider="",
    decided_at=None, review_due_at=ago(hours=2), review_overdue=True, subject="王秀英", delayed_until=ago(days=-30),
    limits=("named_person", "delay"),
)  # fmt: skip
POLICE = police_views.PolicePage(
    tuple(
        police_views.BuildingCount(str(n), 20 + n, n % 3, n % 2, 1 if n == 3 else 0, 4 if n == 5 else 0)
        for n in range(1, 8)
    ),
    (WANG_ROW,),
    (TICKET,),
)
LOOK_UP = tickets_views.LookUpPage(
    view_parts.Form(
        {"purpose": "missing_person", "from": "2026-11-20T00:00", "to": "2026-11-21T00:00"},
        {"case_number": "case_number_missing", "basis": "required", "reason": "reason_is_missing"},
    ),
    ("missing_person", "life_risk", "criminal_case"),
    ("case_file", "written_request", "emergency"),
    (view_parts.Choice("ac-3-1", "3-1 单元门"),),
    (view_parts.Choice("3", "3"), view_parts.Choice("5", "5")),
    ("5",),
    (view_parts.Choice("1", "1"),),
    7,
)
LOOK_UP_RESULT = replace(
    LOOK_UP,
    form=view_parts.Form(),
    ticket=replace(TICKET, emergency=True, review_due_at=ago(hours=-20)),
    rows=LOG_ROWS[:3],
    watermark="L-12 · 刘*警官 · 2026-11-21 08:42",
)
TICKETS = tickets_views.TicketsPage((TICKET,), (replace(TICKET, state="asked"),), (), 1)
TICKETS_OF_SUPERVISOR = tickets_views.TicketsPage((), (), (EMERGENCY,), 1, False, (TICKET, EMERGENCY))
AUDIT = tickets_views.AuditPage(
    (
        tickets_views.DrawnLook(
            7, ago(hours=3), "刘警官", "police_officer", "look_up", "missing_person", "ac-3-1", "L-12", "京公 12", 41
        ),
        tickets_views.DrawnLook(
            6, ago(hours=9), "李敏", "property_clerk", "name_revealed", "call_back", "3-1-1201", noted=True,
            mark="not_justified", reason="没有对应的任务", marker="审计", marked_at=ago(hours=1),
        ),
    ),
    0.05,
    (tickets_views.PeerRow("李敏", "property_clerk", 41, 3.5),),
    (tickets_views.HomeRow("3-1-1201", 4, 9),),
    (tickets_views.QuickRow("2026-1121-003", ago(hours=5), "李敏", "property_clerk", 4),),
    (tickets_views.OutsideRow(ago(hours=6), "L-9", "kaimen", 500),),
    (EMERGENCY,),
    1,
    view_parts.Form({"reason": "x"}, {"reason": "reason_is_missing", "mark": "not_an_answer"}),
    7,
    tickets_views.ChainStanding(4_211, False, 3_807, "3806 · 91c5a0b2d7e4f613", NOW),
)  # fmt: skip
PUBLIC = tickets_views.TransparencyPage(
    "文昌花园",
    ("missing_person", "life_risk"),
    (tickets_views.PublicMonth("2026-11", (("missing_person", 12), ("life_risk", None)), None, 7, None),),
    None,
)
LOOKED = admin_views.LookedPage(
    (
        admin_views.LookRow(ago(hours=5), "李敏", "property_clerk", "household", "care", "3-1-1201"),
        admin_views.LookRow(
            ago(days=1), "刘*", "police_officer", "look_up", "missing_person", "LQ-2026-0012"
        ),
    ),
    WANG,
)
CHANNELS = channels_views.ChannelsPage(
    (
        channels_views.ChannelRow(
            "wechat",
            "refused",
            True,
            ago(hours=3),
            ago(minutes=4),
            "refused: 43101",
            2,
            None,
            3,
            ago(minutes=4),
            1,
            1,
            40,
        ),
        channels_views.ChannelRow(
            "dingtalk",
            "paused",
            False,
            ago(hours=1),
            ago(minutes=1),
            "refused: 130101",
            1,
            NOW,
            12,
            ago(minutes=2),
        ),
        channels_views.ChannelRow("email", "ok", True, ago(minutes=9), addresses=7),
        channels_views.ChannelRow("webhook", "gone", False),
    ),
    True,
    (
        channels_views.InboundRow("sms_aliyun", NOW, ago(minutes=4), NOW),
        channels_views.InboundRow("sms_tencent", None, None, None),
    ),
)
MY_CHANNELS = channels_views.MyChannelsPage(
    "/my/channels",
    (
        channels_views.AddressRow(
            1,
            "wechat",
            "oAb•••9x",
            True,
            False,
            view_parts.Form(
                {
                    "language": "zh-CN",
                    "zone": "Asia/Shanghai",
                    "quiet_from": "22:00",
                    "quiet_until": "07:00",
                    "position": "1",
                }
            ),
            True,
        ),
        channels_views.AddressRow(
            2,
            "sms_aliyun",
            "139•••01",
            False,
            True,
            view_parts.Form(
                {
                    "language": "",
                    "zone": "Asia/Shanghai",
                    "quiet_from": "",
                    "quiet_until": "",
                    "position": "2",
                }
            ),
        ),
    ),
    ("email", "sms_aliyun"),
    view_parts.Form({"address": "nobody"}, {"address": "not_a_phone"}),
    "abcdefgh",
    "http://weixin.qq.com/q/0a1b2c",
)
CONTACTS_PAGE = channels_views.ContactsPage(
    view_parts.HouseholdName("h-1", "3-1-1201", building="3", unit="1", room="1201", name="王*英"),
    (channels_views.ContactRow("p-1", "李*", "女儿", 2, "/households/h-1/contacts/p-1/invite"),),
    "https://kaimen.example/bind/abcdefghijklmnop",
    "p-1",
)
DEMO_USERS = (
    sign_in_views.DemoUser("clerk", "demo-clerk", Role.PROPERTY_CLERK),
    sign_in_views.DemoUser("officer", "demo-officer", Role.POLICE_OFFICER),
    sign_in_views.DemoUser("family", "demo-family", Role.FAMILY),
    sign_in_views.DemoUser("admin", "demo-admin", Role.ADMIN),
)
SESSIONS = sign_in_views.SessionsPage(
    (
        sign_in_views.SessionRow(
            "00ff00ff00ff00ff", ago(hours=8), ago(minutes=1), "Windows", "Edge", True, "/sessions/00ff/end"
        ),
        sign_in_views.SessionRow(
            "11ff00ff00ff00ff", ago(days=9), ago(days=2), "Android", "微信", False, "/sessions/11ff/end"
        ),
        sign_in_views.SessionRow(
            "22ff00ff00ff00ff", ago(days=30), ago(days=12), end_url="/sessions/22ff/end"
        ),
    ),
    NOW,
)
STEPS = tuple(
    Step(name, at < 2, url)
    for at, (name, url) in enumerate(
        {
            "community": "/admin/communities/new", "desk": "/admin/people/new", "homes": "", "watched": "",
            "channels": "/admin/channels", "duty": "/duty",
        }.items()
    )
)  # fmt: skip
ADMIN = admin_views.AdminPage(
    (
        admin_views.UserRow(
            "limin",
            "李敏",
            Role.PROPERTY_CLERK,
            ago(days=100),
            ago(minutes=20),
            act=view_parts.Act("disable", "/admin/users/limin/disable", post=True),
        ),
        admin_views.UserRow(
            "old",
            "周*",
            Role.GRID_WORKER,
            ago(days=300),
            None,
            ago(days=30),
            act=view_parts.Act("enable", "/admin/users/old/enable", post=True),
        ),
    ),
    (
        admin_views.ServiceRow("ingest", ago(minutes=0.02), 184_233, 1_000, True),
        admin_views.ServiceRow("alerts", ago(minutes=8), 99_120, 480_000, False),
        admin_views.ServiceRow("edge", None, 0, 0, False),
    ),
    "demo",
    ago(days=2),
    "0.1.0",
    "plain",
    1,
    True,
    20_391,
    ago(hours=1),
)
MARKS = {
    "3-1-1201": view_parts.Mark.HIGH,
    "1-2-0301": view_parts.Mark.MID,
    "1-1-0502": view_parts.Mark.LOW,
    "2-1-0202": view_parts.Mark.AWAY,
}


def building(number: str, units: int, floors: int, dark: str = "") -> demo_views.Building:
    def of(unit: str, floor: int, side: int) -> demo_views.Home:
        label = f"{number}-{unit}-{floor:02d}0{side}"
        mark = view_parts.Mark.UNKNOWN if unit == dark else MARKS.get(label, view_parts.Mark.NORMAL)
        return demo_views.Home(
            label,
            label,
            floor,
            f"{floor}0{side}",
            mark,
            door_open=label == "1-1-0201",
            kept_shut=label == "3-1-1201",
        )

    return demo_views.Building(
        number,
        tuple(
            demo_views.Unit(
                str(u),
                tuple(of(str(u), f, s) for f in range(1, floors + 1) for s in (1, 2)),
                f"gw-0{number}0{u}",
                str(u) != dark,
            )
            for u in range(1, units + 1)
        ),
    )


STREET = (building("1", 3, 6), building("2", 2, 6, "2"), building("3", 1, 12))
DEMO = demo_views.DemoPage(
    STREET,
    720,
    next_crossing_at=NOW + timedelta(hours=3),
    next_crossing_label="1-1-0502",
    selected=demo_views.Home(
        "3-1-1201", "3-1-1201", 12, "1201", view_parts.Mark.HIGH, kept_shut=True, line=WANG_LINE
    ),
    open_cases=3,
    acts=TIMELINE[2:4],
    users=DEMO_USERS,
)

#: name -> template, page, shell changes. Every template is here at least once.
SIGNALS = doors_views.SignalsPage(
    (
        SignalRow("sos", ago(minutes=12), "3-1-1201", "3-1-1201", 3),
        SignalRow("stranger_denials", ago(hours=1), "3-1", "", 4, log_url="/access-log?door=u-1"),
        SignalRow("cancelled_card", ago(hours=2), "3-1", "3-1-0902", 2, accepted=True),
        SignalRow("door_held", ago(hours=3), "东门", late=True),
        SignalRow("door_forced", ago(hours=5), "5-1", ended_at=ago(hours=4), end="door_closed"),
    ),
    (DenialRow("3-1", 9, 7, ago(hours=1), "/access-log?door=u-1&type=Denied"),),
    standing=1,
    cut=True,
)
RENTALS = doors_views.RentalsPage(
    54,
    51,
    4,
    21,
    (
        RentalRow("3-1-0902", "vacant_opened", ago(days=3)),
        RentalRow("5-1-0301", "more_credentials", ago(days=1), ago(days=-80), 1, 5, ("丁*", "戊*华")),
        RentalRow("5-2-0101", "no_lease"),
    ),
    cut=True,
)

PERSON = identity_views.PersonRow("limin", "李敏", Role.PROPERTY_CLERK, "文昌花园", None, NOW, True)
REQUEST = identity_views.RequestRow(
    7, "change_role", "limin", "李敏", "周管理", NOW, NOW + timedelta(days=7), Role.POLICE_OFFICER, "文昌花园"
)

TESTS = agreements_views.DeviceTestsPage(
    (
        agreements_views.Waiting(
            8, "/devices/tests/8", "换电池，开盖会报防拆", "李敏", ago(minutes=5), NOW + timedelta(days=7), False,
            "z-3-1-1201", "3 栋 1 单元 1201 户门", NOW + timedelta(hours=2),
        ),
        agreements_views.Waiting(
            9, "/devices/tests/9", "更换网关", "陈伟", ago(minutes=1), NOW + timedelta(days=7), True, "g-5-4",
            until_at=NOW + timedelta(hours=8),
        ),
    ),
    (
        agreements_views.RunningTest(
            7, "/devices/tests/7", "g-7-2", "7 栋 2 单元", "布线施工", "李敏", "陈伟", NOW + timedelta(hours=1)
        ),
    ),
    (1, 2, 4, 8),
    NOW,
    view_parts.Form({"device": "z-3-1-1201", "hours": "2"}, {"reason": "reason_missing"}),
)  # fmt: skip
POLICIES = agreements_views.PoliciesPage(
    (agreements_views.PolicyRow("frail", 2, (12, 24, 48), NOW, 18), agreements_views.PolicyRow("mandated", 1, (24, 48, 72), None, 242)),
    (
        agreements_views.Waiting(
            4, "/admin/policies/4", "今冬独居高龄老人加密", "周洁", ago(hours=3), NOW + timedelta(days=6), False,
            "frail", hours=(8, 16, 24),
        ),
    ),
    NOW,
)  # fmt: skip


AGREEMENTS = agreements_views.AgreementsPage(
    (
        agreements_views.WaitingMove(
            7, "/agreements/moves/7", "3-1-1201", "/households/h-wang", "policy", "mandated", "frail",
            "出院回家，独自一人", "周洁", ago(hours=2), NOW + timedelta(days=6), False,
        ),
        agreements_views.WaitingMove(
            8, "/agreements/moves/8", "7-2-302", "/households/h-zhao", "category", "独居", "", "kaimen import", "",
            ago(hours=5), NOW + timedelta(days=6), False,
        ),
    ),
    (
        agreements_views.ChangedNumber(
            3, "/agreements/numbers/3", "3-1-1201", "/households/h-wang", "王*", "139****2222", "138****1234", None, "", None, None
        ),
        agreements_views.ChangedNumber(
            4, "/agreements/numbers/4", "7-2-302", "/households/h-zhao", "赵*", "137****3333", "136****4444", ago(hours=3), "周洁",
            None, None,
        ),
        agreements_views.ChangedNumber(
            5, "/agreements/numbers/5", "1-3-601", "/households/h-sun", "孙*", "135****5555", "", ago(hours=30), "周洁",
            ago(hours=20), NOW + timedelta(hours=52),
        ),
    ),
    ("frail", "mandated"),
    ("高龄独居",),
    True,
    view_parts.Form({"home": "3-9"}, {"home": "no_such_home"}),
    ("phoned", "wrote", "met", "dead"),
)  # fmt: skip


def home_phone_page() -> object:
    person = PhonePerson(
        "p-h-wang", "/households/h-wang/phone/p-h-wang", "王*英", "resident", "138****1234", True, True, True,
        ago(hours=900), "李敏，5月3日纸质同意书", "0571-8888", False, view_parts.Form(),
    )  # fmt: skip
    wrong = view_parts.Form({"agreed_by": "", "shown_number": "hello"}, {"shown_number": "no_phone_number"})
    son = replace(
        person, id="p-son", url="/households/h-wang/phone/p-son", name="王*明", relation="family", lives_here=False,
        has_phone=False, rung_from=None, number_changed=True, form=wrong,
    )  # fmt: skip
    return HomePhonePage(WANG, (person, son))


def books_page() -> object:
    typed = {
        "label": "3-1-1201",
        "building": "3",
        "unit": "1",
        "floor": "12",
        "room": "1201",
        "grid": "2",
        "tenure": "owner",
    }
    person = BookPerson("p-h-wang", "王*英", "138****1234", "0" * 20, birth_year=1941, hard_of_hearing=True)
    son = BookPerson("p-son", "王*明", "139****2222", "1" * 20, role="family", position=1, relation="儿子")
    return BooksPage(
        WANG, view_parts.Form(typed, {"": "changed_meanwhile"}), "2" * 20, {"grid": "7"}, (person,), view_parts.Form(),
        "p-new", (son,), view_parts.Form({"position": "2"}), "p-new-2",
        (view_parts.Choice("grid_worker:p-grid", "孙立新|grid_worker"),),
        (BookDoor("bh-d-3-1-1201", "3-1-1201", "dwelling", ago(hours=900)), BookDoor("bh-u-3-1", "", "shared", None)),
        view_parts.Form({"device_id": "装"}, {"device_id": "device_form"}), (view_parts.Choice("bh-d-9", "9-1-101"),),
        (view_parts.Choice("bh-g003", "3 栋"),), ("contact", "consent"), ("card", "family"),
        (
            BookCard("7q2a", "resident", "王*英", url="/households/h-wang/books/cards/" + "0" * 16),
            BookCard("x4mk", "family", "王*明", valid_to=ago(hours=30), lost_at=ago(hours=30), holds=False),
        ),
        (view_parts.Choice("p-h-wang", "王*英|resident"), view_parts.Choice("p-son", "王*明|family")),
        view_parts.Form({"whose": "p-son"}, {"card": "card_taken"}),
        leases=(
            BookLease(
                "l-1", "3" * 20, ago(hours=9000), ago(hours=300), 2, "B-17",
                view_parts.Form({"from_at": "2025-01-01", "to_at": "2024-12-31"}, {"to_at": "lease_order"}),
            ),
            BookLease("l-2", "4" * 20, ago(hours=200), None, None, "", view_parts.Form({"from_at": "2026-01-01"})),
        ),
        new_lease_id="l-3",
    )  # fmt: skip


def empty_books_page() -> object:
    nothing = view_parts.Form()
    return BooksPage(
        WANG, nothing, "", {}, (), nothing, "p-new", (), nothing, "p-new-2", (), (), nothing, (), (),
        ("resident", "contact", "door", "consent"),
    )  # fmt: skip


PAGES: dict[str, tuple[str, Callable[[], object], dict[str, Any]]] = {
    "device-tests": ("device_tests.html", lambda: TESTS, {"current": "devices"}),
    "device-tests-empty": (
        "device_tests.html",
        lambda: agreements_views.DeviceTestsPage((), (), (1, 2, 4, 8), NOW),
        {"current": "devices"},
    ),
    "policies": ("policies.html", lambda: POLICIES, {"current": "admin", "role": Role.ADMIN}),
    "policies-read": (
        "policies.html",
        lambda: replace(POLICIES, waiting=(), may_ask=False),
        {"current": "admin", "role": Role.ADMIN},
    ),
    "second-person": (
        "second_person.html",
        lambda: agreements_views.SecondPersonPage(
            (
                replace(AGREEMENTS.numbers[0], name="", url="/second-person/3"),
                replace(AGREEMENTS.numbers[1], name="", url="/second-person/4", told_how="phoned"),
            )
        ),
        {"current": "second_person", "role": Role.COMMUNITY_COMMITTEE},
    ),
    "second-person-empty": (
        "second_person.html",
        lambda: agreements_views.SecondPersonPage(()),
        {"current": "second_person", "role": Role.COMMUNITY_COMMITTEE},
    ),
    "agreements": ("agreements.html", lambda: AGREEMENTS, {"current": "households"}),
    "agreements-empty": (
        "agreements.html",
        lambda: agreements_views.AgreementsPage((), (), ("mandated",), (), False),
        {"current": "admin", "role": Role.ADMIN},
    ),
    "household-new": (
        "household_new.html",
        lambda: NewHomePage("h-new", (), view_parts.Form({"floor": "five"}, {"floor": "floor_form"})),
        {"current": "households"},
    ),
    "household-list": (
        "household_list.html",
        lambda: ListPage(
            view_parts.Form({"old": "yes"}),
            True,
            (("人员", 12), ("住户", 8)),
            (
                ListFault(
                    "花园.xlsx “人员”表 第 7 行 C7（姓名）", "一格里写了几个人", "请每人一行，各有各的编号"
                ),
            ),
            3,
            "花园.xlsx “人员”表 第 1 行",
            (("花园.xlsx “人员”表", "F、G"),),
        ),
        {"current": "households"},
    ),
    "household-books": ("household_books.html", books_page, {"current": "households"}),
    "household-books-empty": ("household_books.html", empty_books_page, {"current": "households"}),
    "home-phone": ("home_phone.html", home_phone_page, {"current": "households"}),
    "home-phone-empty": ("home_phone.html", lambda: HomePhonePage(WANG, ()), {"current": "households"}),
    "alarms": ("alarms.html", lambda: ALARMS, {"current": "alarms", "demo": False}),
    "alarms-odd": ("alarms.html", lambda: ODD_ALARMS, {"current": "alarms", "behind_ms": 480_000}),
    "alarms-many": ("alarms.html", lambda: MANY_ALARMS, {"current": "alarms"}),
    "alarms-empty": ("alarms.html", lambda: EMPTY_ALARMS, {"current": "alarms", "demo": False}),
    "case": (
        "case.html",
        lambda: case_views.CasePage(
            wang_case(
                contacts=CONTACTS,
                tasks=(visit_task(view_parts.Form()), CALL_DONE),
                chart=chart(),
                note_form=view_parts.Form(),
                hold_form=view_parts.Form(errors={"reason": "reason_is_missing"}),
                hand_over_form=view_parts.Form(),
                hand_over_roles=("police_officer", "grid_worker"),
                reveal_purposes=("call_back", "visit"),
            )
        ),
        {"current": "alarms"},
    ),
    "case-technical": (
        "case.html",
        lambda: case_views.CasePage(
            case_views.CaseView(
                TECHNICAL_ROW,
                ago(hours=3),
                1,
                case_views.NextStep(
                    TaskKind.DEVICE_CHECK,
                    NOW + timedelta(minutes=20),
                    primary=view_parts.Act("claim", "/cases/4/claim", post=True, key="a"),
                ),
                households=tuple(
                    line_of(home(f"5-4-0{n}01", "何*芬", 80 + n), UNKNOWN_LINE) for n in range(1, 5)
                ),
            )
        ),
        {"current": "alarms"},
    ),
    "household": ("household.html", household_page, {"current": "households"}),
    "household-empty": (
        "household.html",
        lambda: household_views.HouseholdPage(ZHENG, None, None, None),
        {"current": "households"},
    ),
    "households": (
        "households.html",
        lambda: household_views.HouseholdsPage(
            tuple(
                line_of(h, line)
                for h, line in (
                    (WANG, WANG_LINE),
                    (ZHAO, ZHAO_LINE),
                    (SUN, SUN_LINE),
                    (ZHENG, GOOD_LINE),
                    (LONG, AWAY_LINE),
                    (home("5-4-0101", "何*芬", 90), UNKNOWN_LINE),
                    (home("5-4-0102", "", None), None),
                )
            ),
            total=312,
        ),
        {"current": "households"},
    ),
    "households-empty": (
        "households.html",
        lambda: household_views.HouseholdsPage((), query="99"),
        {"current": "households"},
    ),
    "morning": ("morning.html", lambda: MORNING, {"current": "morning", "demo": False}),
    "door-list": ("door_list.html", lambda: DOOR_LIST, {"current": "morning"}),
    "door-list-empty": (
        "door_list.html",
        lambda: morning_views.DoorListPage(NOW, (), "李敏"),
        {"current": "morning"},
    ),
    "tasks": ("tasks.html", lambda: TASKS, {"current": "tasks"}),
    "tasks-empty": (
        "tasks.html",
        lambda: tasks_views.TasksPage(()),
        {"current": "tasks", "notice": view_parts.Phrase("claimed")},
    ),
    "field": ("field.html", lambda: FIELD, {"demo": False}),
    "field-call": ("field.html", lambda: FIELD_CALL, {}),
    "field-form": ("field.html", lambda: FIELD_FORM, {}),
    "buildings": (
        "buildings.html",
        lambda: buildings_views.BuildingsPage(
            BUILDING_ROWS, STREET, line_of(WANG, WANG_LINE, case_url="/cases/7", case_number="2026-1121-007")
        ),
        {"current": "buildings"},
    ),
    "buildings-no-places": (
        "buildings.html",
        lambda: buildings_views.BuildingsPage(
            tuple(replace(row, position=None) for row in BUILDING_ROWS), STREET
        ),
        {"current": "buildings"},
    ),
    "buildings-empty": (
        "buildings.html",
        lambda: buildings_views.BuildingsPage((), ()),
        {"current": "buildings"},
    ),
    "access-log": ("access_log.html", lambda: LOG, {"current": "access_log"}),
    "access-log-empty": (
        "access_log.html",
        lambda: log_views.AccessLogPage(log_views.LogFilter(), ()),
        {"current": "access_log"},
    ),
    "signals": ("signals.html", lambda: SIGNALS, {"current": "signals"}),
    "signals-empty": ("signals.html", lambda: doors_views.SignalsPage((), ()), {"current": "signals"}),
    "rentals": ("rentals.html", lambda: RENTALS, {"current": "rentals", "role": Role.POLICE_OFFICER}),
    "rentals-empty": (
        "rentals.html",
        lambda: doors_views.RentalsPage(0, 0, 0, 0, ()),
        {"current": "rentals", "role": Role.POLICE_OFFICER},
    ),
    "household-presence": (
        "household.html",
        lambda: replace(
            household_page(),
            presence=PresenceView("out", "direction", ago(hours=3), NOW),
            presence_asked=True,
            presence_form=None,
        ),
        {"current": "households"},
    ),
    "family-news": (
        "family.html",
        lambda: family_views.FamilyPage(
            (
                replace(
                    FAMILY_GOOD.homes[0],
                    news=HomeNews(ago(hours=2), False, ago(hours=15), False, True, True, "17:30"),
                    notices_form=view_parts.Form(
                        {"by_time": "x", "not_home": "yes"}, {"by_time": "not_a_time"}
                    ),
                ),
            ),
        ),
        {"role": Role.FAMILY},
    ),
    "devices": ("devices.html", lambda: devices_views.DevicesPage(DEVICES, 5, 3), {"current": "devices"}),
    "devices-empty": (
        "devices.html",
        lambda: devices_views.DevicesPage((), only="troubled"),
        {"current": "devices"},
    ),
    "places": (
        "places.html",
        lambda: PlacesPage(
            "/devices",
            (
                PlaceRow("c-3", "文昌花园", 12, "/devices?place=c-3"),
                PlaceRow("c-4", "和平里", 0, "/devices?place=c-4"),
            ),
            total=820,
        ),
        {"current": "devices", "role": Role.ADMIN},
    ),
    "technical": ("technical.html", lambda: TECHNICAL_PAGE, {"current": "technical"}),
    "technical-empty": ("technical.html", TechnicalPage, {"current": "technical"}),
    "quarantine": ("quarantine.html", lambda: QUARANTINE, {"current": "quarantine"}),
    "quarantine-empty": (
        "quarantine.html",
        lambda: devices_views.QuarantinePage(()),
        {"current": "quarantine"},
    ),
    "family-good": ("family.html", lambda: FAMILY_GOOD, {"demo": False, "role": Role.FAMILY}),
    "family-contact": ("family.html", lambda: FAMILY_CONTACT, {"role": Role.FAMILY}),
    "family-day2": ("family.html", lambda: FAMILY_DAY2, {"demo": False, "role": Role.FAMILY}),
    "family-unknown": ("family.html", lambda: FAMILY_UNKNOWN, {"demo": False, "role": Role.FAMILY}),
    "family-away": ("family.html", lambda: FAMILY_AWAY, {"role": Role.FAMILY}),
    "family-nobody": ("family.html", lambda: family_views.FamilyPage(()), {"role": Role.FAMILY}),
    "police": ("police.html", lambda: POLICE, {"current": "police", "role": Role.POLICE_OFFICER}),
    "look-up": ("look_up.html", lambda: LOOK_UP, {"current": "police", "role": Role.POLICE_OFFICER}),
    "look-up-result": (
        "look_up.html",
        lambda: LOOK_UP_RESULT,
        {"current": "police", "role": Role.POLICE_OFFICER},
    ),
    "look-up-refused": (
        "look_up.html",
        lambda: replace(LOOK_UP, form=view_parts.Form(), refused="error.never_trained", left_today=0),
        {"current": "police", "role": Role.POLICE_OFFICER},
    ),
    "tickets": ("tickets.html", lambda: TICKETS, {"current": "tickets", "role": Role.POLICE_OFFICER}),
    "tickets-supervisor": (
        "tickets.html",
        lambda: TICKETS_OF_SUPERVISOR,
        {"current": "tickets", "role": Role.POLICE_SUPERVISOR},
    ),
    "tickets-empty": (
        "tickets.html",
        lambda: tickets_views.TicketsPage((), (), ()),
        {"current": "tickets", "role": Role.POLICE_OFFICER},
    ),
    "ticket": (
        "ticket.html",
        lambda: tickets_views.TicketPage(
            TICKET,
            (tickets_views.ReadingRow(ago(hours=3), "刘警官", "read", 41),),
            view_parts.Form(),
            may_read=True,
        ),
        {"current": "tickets", "role": Role.POLICE_OFFICER},
    ),
    "ticket-review": (
        "ticket.html",
        lambda: tickets_views.TicketPage(
            EMERGENCY, (), view_parts.Form({"reason": "x"}, {"reason": "reason_is_missing"}), may_review=True
        ),
        {"current": "tickets", "role": Role.POLICE_SUPERVISOR},
    ),
    "audit": ("audit.html", lambda: AUDIT, {"current": "audit", "role": Role.AUDITOR}),
    "audit-empty": (
        "audit.html",
        lambda: tickets_views.AuditPage(
            (),
            0.05,
            form=view_parts.Form(),
            chain=tickets_views.ChainStanding(17, True, None, "17 · 91c5a0b2d7e4f613", NOW),
        ),
        {"current": "audit", "role": Role.AUDITOR},
    ),
    "transparency": ("transparency.html", lambda: PUBLIC, {"user": None, "role": None}),
    "transparency-choose": (
        "transparency.html",
        lambda: tickets_views.TransparencyPage(communities=(view_parts.Choice("a&b", "文昌花园"),)),
        {"user": None, "role": None},
    ),
    "looked": ("looked.html", lambda: LOOKED, {"current": "looked"}),
    "admin": ("admin.html", lambda: ADMIN, {"current": "admin", "role": Role.ADMIN}),
    "admin-first-day": (
        "admin.html",
        lambda: replace(ADMIN, steps=STEPS, adds_communities=True),
        {"current": "admin", "role": Role.ADMIN},
    ),
    "admin-community": (
        "admin_community.html",
        lambda: CommunityPage(
            view_parts.Form(
                {"id": "site", "zone": "Asia/Shanghai"}, {"name": "required", "id": "community_taken"}
            )
        ),
        {"current": "admin", "role": Role.ADMIN},
    ),
    "channels": ("channels.html", lambda: CHANNELS, {"current": "admin", "role": Role.ADMIN}),
    "channels-none": (
        "channels.html",
        lambda: channels_views.ChannelsPage((), False),
        {"current": "admin", "role": Role.ADMIN},
    ),
    "my-channels": ("my_channels.html", lambda: MY_CHANNELS, {"demo": False, "role": Role.FAMILY}),
    "contacts": ("contacts.html", lambda: CONTACTS_PAGE, {"current": "households"}),
    "contacts-sign-in": (
        "contacts.html",
        lambda: replace(
            CONTACTS_PAGE,
            rows=(
                channels_views.ContactRow(
                    "p-1", "王*", "女儿", 1, "/x/invite", "/x/sign-in", "jia-k3f9qa", blocked=True
                ),
                channels_views.ContactRow("p-2", "李*", "儿子", 0, "/y/invite", "/y/sign-in"),
            ),
            link="",
            opened=channels_views.Opened(
                "李*", "https://kaimen.example/sign-in/sent", "139****0001", "jia-m7x2de"
            ),
            refused="relative_not_now",
        ),
        {"current": "households"},
    ),
    "seen": (
        "seen.html",
        lambda: channels_views.SeenPage("2025-1117-001", "ask", "abcdefghijklmnop"),
        {"user": None, "role": None},
    ),
    "seen-thanks": (
        "seen.html",
        lambda: channels_views.SeenPage(
            "2025-1117-001",
            "thanks",
            "abcdefghijklmnop",
            line=view_parts.DutyLine("0571-0000 0000", "24 小时"),
        ),
        {"user": None, "role": None},
    ),
    "sessions": ("sessions.html", lambda: SESSIONS, {"current": ""}),
    "demo": ("demo.html", lambda: DEMO, {"current": "demo", "speed": 720.0}),
    "sign-in": (
        "sign_in.html",
        lambda: sign_in_views.SignInPage(
            view_parts.Form({"name": "limin"}, {"password": "wrong_password"}),
            "/",
            DEMO_USERS,
            sends_codes=True,
        ),
        {"user": None, "role": None},
    ),
    "sign-in-wait": (
        "sign_in.html",
        lambda: sign_in_views.SignInPage(
            view_parts.Form({}, {"": "wait_a_little"}), wait_ms=90_000, outer_name="企业微信", lost=True
        ),
        {"user": None, "role": None},
    ),
    "sign-in-code": (
        "sign_in_code.html",
        lambda: identity_views.CodePage(view_parts.Form({}, {"code": "wrong_totp"}), wait_ms=15_000),
        {"user": None, "role": None},
    ),
    "sign-in-sent": (
        "sign_in_sent.html",
        lambda: sign_in_views.SentAskPage(
            view_parts.Form({"who": "13800000000"}, {"": "wait_a_little"}), wait_ms=60_000
        ),
        {"user": None, "role": None},
    ),
    "sign-in-sent-code": (
        "sign_in_sent_code.html",
        lambda: sign_in_views.SentCodePage(view_parts.Form({}, {"code": "wrong_code"})),
        {"user": None, "role": None},
    ),
    "account-factor": (
        "account_factor.html",
        lambda: identity_views.FactorPage(
            view_parts.Form(), url="otpauth://totp/x?secret=ABC", secret="ABC", needed=True
        ),
        {"factor_due_at": NOW},
    ),
    "account-factor-codes": (
        "account_factor.html",
        lambda: identity_views.FactorPage(
            view_parts.Form(), confirmed_at=NOW, codes_left=10, codes=("ABCD-EFGH-JKMN-PQRS",)
        ),
        {},
    ),
    "account-factor-stands": (
        "account_factor.html",
        lambda: identity_views.FactorPage(view_parts.Form({}, {"code": "wrong_totp"}), NOW, 3),
        {},
    ),
    "account-password": (
        "account_password.html",
        lambda: identity_views.PasswordPage(view_parts.Form({}, {"old": "wrong_old_password"}), True),
        {},
    ),
    "account-tokens": (
        "account_tokens.html",
        lambda: identity_views.TokensPage(
            view_parts.Form(),
            (identity_views.TokenRow("大屏", ("read:cases",), NOW, NOW, None, "/account/tokens/1/revoke"),),
            ("read:cases", "write:acts"),
            "kaimen_sample",
        ),
        {},
    ),
    "people": (
        "people.html",
        lambda: identity_views.PeoplePage(
            view_parts.Form({"q": "", "role": ""}),
            (PERSON, identity_views.PersonRow("zhao", "赵警官", Role.POLICE_OFFICER, "文昌花园", NOW)),
            (REQUEST, replace(REQUEST, id=8, own=True)),
            ("admin", "property_clerk"),
            "zhao",
        ),
        {"role": Role.ADMIN},
    ),
    "people-none": (
        "people.html",
        lambda: identity_views.PeoplePage(view_parts.Form({"q": "x", "role": ""}), ()),
        {"role": Role.ADMIN},
    ),
    "person-new": (
        "person_new.html",
        lambda: identity_views.NewPersonPage(
            view_parts.Form({}, {"name": "name_taken"}), ("admin",), (view_parts.Choice("w", "文昌花园"),)
        ),
        {"role": Role.ADMIN},
    ),
    "person": (
        "person.html",
        lambda: identity_views.PersonPage(
            replace(PERSON, role=Role.POLICE_OFFICER),
            NOW,
            view_parts.Form({}, {"position": "not_together"}),
            sessions=2,
            factor_at=NOW,
            trained_until=NOW.date(),
            password_due=True,
            positions=(identity_views.HeldPosition(3, Role.GUARD, "文昌花园"),),
            places=(view_parts.Choice("b", "滨河苑"),),
            outer=("zhao@bureau",),
            outer_name="企业微信",
            requests=(REQUEST,),
            roles=("admin", "guard"),
            phone=identity_views.StaffPhone("05718001", 2),
            all_places=(view_parts.Choice("w", "文昌花园"),),
            shown_password="sample-password",
        ),
        {
            "role": Role.ADMIN,
            "positions": (
                shell_views.Position("", Role.ADMIN, "", True),
                shell_views.Position("4", Role.GUARD, "文昌花园"),
            ),
        },
    ),
    "error-403": ("error.html", lambda: shell_views.ErrorPage(403), {}),
    "error-500": ("error.html", lambda: shell_views.ErrorPage(500, request_id="7f3a", retry_url="/"), {}),
    "offline": ("offline.html", lambda: shell_views.ErrorPage(503), {}),
}

PAGES |= samples_guard.pages(task=visit_task(view_parts.Form()), home=WANG, contacts=CONTACTS)
PAGES.update(samples_screens.PAGES)
PAGES.update(samples_look_back.PAGES)
