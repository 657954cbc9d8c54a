"""Invented people on an invented street, as view-models: nothing enters, every page in honest states leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from console import views as v
from console import views_agreements as va
from console import views_buildings as b
from console import views_channels as vc
from console import views_identity as vi
from console import views_morning as m
from console import views_tickets as vt
from console.technical_views import AwaitedDevice, CauseCard, TechnicalPage, UnseenLine
from console.views_doors import DenialRow, HomeNews, PresenceView, RentalRow, SignalRow
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


def nav(current: str) -> tuple[v.NavGroup, ...]:
    def item(name: str, url: str, count: int | None = None) -> v.NavItem:
        return v.NavItem(name, url, count, current=name == current)

    return (
        v.NavGroup(
            "service",
            (item("alarms", "/alarms", 4), item("morning", "/morning", 9), item("tasks", "/tasks", 3)),
        ),
        v.NavGroup(
            "manage",
            (
                item("buildings", "/buildings"),
                item("households", "/households"),
                item("access_log", "/access-log"),
                item("devices", "/devices", 1),
                item("quarantine", "/quarantine", 2),
            ),
        ),
        v.NavGroup(
            "judge",
            (
                item("police", "/police"),
                item("looked", "/looked"),
                item("demo", "/demo"),
                item("admin", "/admin"),
            ),
        ),
    )


def shell(language: str = "zh", *, current: str = "", **changes: Any) -> v.Shell:
    values: dict[str, Any] = {
        "community": "文昌花园社区" if language == "zh" else "Wenchang Garden",
        "language": language,
        "now": NOW,
        "csrf": "sample",
        "path": "/",
        "user": "李敏",
        "role": Role.PROPERTY_CLERK,
        "nav": nav(current),
        "demo": True,
        "duty": v.Duty("李敏", NOW + timedelta(hours=7, minutes=18), 2),
        "version": "1",
    }
    return v.Shell(**{**values, **changes})


def home(
    label: str, name: str, age: int | None = None, *, grid: str = "4", alone: bool = True
) -> v.HouseholdName:
    building, unit, room = label.split("-")
    return v.HouseholdName(
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

WANG_LINE = v.DayLine(
    ago(days=3, hours=3.4), NOW, int(75.4 * HOUR_MS), Stage.VISIT, evidence_kind=EvidenceKind.OWN_CREDENTIAL
)
ZHAO_LINE = v.DayLine(
    ago(hours=51.2),
    NOW,
    int(51.2 * HOUR_MS),
    Stage.CALL,
    signs=tuple(v.LifeSign(ago(hours=h), v.SignKind.WATER) for h in (31, 25, 20, 14.5, 11)),
)
SUN_LINE = v.DayLine(
    ago(hours=57.6), NOW, int(48.6 * HOUR_MS), Stage.CALL, blind=(v.Span(ago(hours=45.6), ago(hours=36.6)),)
)
UNKNOWN_LINE = v.DayLine(ago(hours=14), NOW, 11 * HOUR_MS, known=False, blind=(v.Span(ago(hours=3), NOW),))
ZHENG_LINE = v.DayLine(
    ago(hours=30),
    NOW,
    30 * HOUR_MS,
    Stage.WARNING,
    signs=(v.LifeSign(ago(hours=28)), v.LifeSign(ago(hours=24))),
)
GOOD_LINE = v.DayLine(ago(hours=2.5), NOW, int(2.5 * HOUR_MS), evidence_kind=EvidenceKind.OWN_CREDENTIAL)
AWAY_LINE = v.DayLine(ago(hours=40), NOW, 0, away_until=NOW + timedelta(days=3))
LONG_LINE = v.DayLine(
    ago(days=11.3), NOW, int(9.1 * 24 * HOUR_MS), Stage.VISIT, blind=(v.Span(ago(days=6), ago(days=3.8)),)
)

WANG_GROUNDS = v.Grounds(
    direction="in",
    heard_at=ago(minutes=0.4),
    presumed=v.Presumed.IN,
    presumed_by="direction",
    has_sensors=True,
    usual=v.Usual(2, 4, 31 * HOUR_MS),
)
ZHAO_GROUNDS = v.Grounds(
    presumed=v.Presumed.IN,
    presumed_by="activity_after",
    direction="in",
    has_sensors=True,
    last_sign=v.LifeSign(ago(hours=11), v.SignKind.WATER),
)
SUN_GROUNDS = v.Grounds(blind_ms=9 * HOUR_MS, heard_at=ago(minutes=1))


def row(number: int, mark: v.Mark, **changes: Any) -> v.CaseRow:
    values: dict[str, Any] = {
        "id": number,
        "number": f"2026-1121-{number:03d}",
        "mark": mark,
        "state": CaseState.OPEN,
        "url": f"/alarms?tab=all&case={number}",
        "page_url": f"/cases/{number}",
    }
    return v.CaseRow(**{**values, **changes})


WANG_ROW = row(
    7,
    v.Mark.HIGH,
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
    v.Mark.MID,
    household=ZHAO,
    line=ZHAO_LINE,
    grounds=ZHAO_GROUNDS,
    act=TaskKind.CALL,
    due_at=NOW + timedelta(minutes=38),
)
SUN_ROW = row(
    5,
    v.Mark.MID,
    household=SUN,
    line=SUN_LINE,
    grounds=SUN_GROUNDS,
    act=TaskKind.CALL,
    state=CaseState.OWNED,
    due_at=NOW - timedelta(minutes=12),
    holder="李敏",
)
TECHNICAL = v.Technical("gateway", "gw-0504", "5 栋 4 单元", ago(hours=3), 12, 4)
TECHNICAL_ROW = row(
    4,
    v.Mark.UNKNOWN,
    technical=TECHNICAL,
    line=UNKNOWN_LINE,
    act=TaskKind.DEVICE_CHECK,
    due_at=NOW + timedelta(minutes=20),
    holder="物业工程",
)
LONG_ROW = row(
    3,
    v.Mark.HIGH,
    household=LONG,
    line=LONG_LINE,
    grounds=v.Grounds(not_seen_since=ago(days=3.8), presumed=v.Presumed.OUT, direction="out"),
    act=TaskKind.VISIT,
    due_at=NOW - timedelta(hours=26),
    unacknowledged=True,
)
PROPOSED_ROW = row(
    2,
    v.Mark.HIGH,
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
    v.Mark.LOW,
    household=ZHENG,
    line=ZHENG_LINE,
    held_until=NOW + timedelta(hours=5),
    held_reason="女儿中午到家",
)
CLOSED_ROW = row(
    8,
    v.Mark.MID,
    household=SUN,
    state=CaseState.CLOSED,
    outcome=Outcome.LATE_EVIDENCE,
    closed_at=ago(hours=1),
)

TIMELINE = (
    v.TimelineEntry(ago(minutes=27), v.Phrase("claimed"), "陈伟", Role.NEIGHBOUR_WATCHER),
    v.TimelineEntry(
        ago(minutes=40),
        v.Phrase("no_answer_next_step"),
        "李敏",
        Role.PROPERTY_CLERK,
        "女儿说两天没联系上，也不知外出",
    ),
    v.TimelineEntry(ago(hours=3.4), v.Phrase("raised", {"stage": 3, "inactive_ms": 72 * HOUR_MS})),
    v.TimelineEntry(
        ago(hours=24), v.Phrase("no_answer_try_again"), "李敏", Role.PROPERTY_CLERK, "振铃无人接，两次"
    ),
    v.TimelineEntry(ago(hours=27.4), v.Phrase("raised", {"stage": 2})),
    v.TimelineEntry(ago(hours=48.2), v.Phrase("listed")),
    v.TimelineEntry(ago(hours=51.4), v.Phrase("opened", {"stage": 1})),
)
CONTACTS = (
    v.Contact("王*", "女儿", "13800000001"),
    v.Contact("陈伟", "neighbour_watcher", "", "13800000002"),
    v.Contact("周*成", "stairwell_liaison"),
    v.Contact("刘*", "safety_guardian", "", "13800000004"),
)


def chart() -> v.EvidenceChart:
    openings: list[v.Opening] = []
    for back in range(13, 3, -1):
        openings += [
            v.Opening(ago(days=back, hours=h), kind)
            for h, kind in (
                (1.2 + back % 3, v.OpeningKind.OWN_CREDENTIAL),
                (-2.5, v.OpeningKind.CONTACT),
                (
                    -8 + back % 2,
                    v.OpeningKind.FAMILY_CREDENTIAL if back % 4 == 0 else v.OpeningKind.OWN_CREDENTIAL,
                ),
            )
        ]
    openings = [o for o in openings if not ago(days=9.4) < o.at < ago(days=7.6)]
    openings += [
        v.Opening(ago(days=3, hours=3.4), v.OpeningKind.OWN_CREDENTIAL, "in"),
        v.Opening(ago(days=10), v.OpeningKind.VERIFIED),
        v.Opening(ago(hours=20), v.OpeningKind.STAFF),
        v.Opening(ago(days=5.2), v.OpeningKind.COUNTER),
    ]
    return v.EvidenceChart(
        last_day=date(2026, 11, 21),
        now=NOW,
        openings=tuple(sorted(openings, key=lambda o: o.at)),
        signs=tuple(
            v.LifeSign(ago(days=d, hours=h), v.SignKind.WATER) for d in range(4, 14) for h in (0.5, 3, -4)
        ),
        blind=(v.Span(ago(days=6.3), ago(days=5.8)),),
        absences=(v.Span(ago(days=9.4), ago(days=7.6)),),
        crossings=(
            v.StageMark(ago(days=2, hours=3.4), Stage.WARNING),
            v.StageMark(ago(days=1, hours=3.4), Stage.CALL),
            v.StageMark(ago(hours=3.4), Stage.VISIT),
        ),
    )


def visit_task(form: v.Form | None = None) -> v.TaskView:
    return v.TaskView(
        31,
        TaskKind.VISIT,
        TaskState.CLAIMED,
        "neighbour_watcher",
        NOW + timedelta(minutes=72),
        household=WANG,
        case_number="2026-1121-007",
        mark=v.Mark.HIGH,
        url="/tasks/31",
        assignee="陈伟",
        outcomes=ALL_OUTCOMES,
        form=form,
    )


CALL_DONE = v.TaskView(
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
NEXT = v.NextStep(
    TaskKind.VISIT,
    NOW + timedelta(minutes=72),
    "陈伟",
    Role.NEIGHBOUR_WATCHER,
    ago(minutes=27),
    None,
    v.Act("record_visit", "/cases/7#tasks"),
    (v.Act("reassign", "/cases/7"), v.Act("hand_over_police", "/cases/7", key="")),
)


def wang_case(**changes: Any) -> v.CaseView:
    values: dict[str, Any] = {
        "row": WANG_ROW,
        "opened_at": ago(hours=51.4),
        "policy_version": 1,
        "next_step": NEXT,
        "timeline": TIMELINE,
    }
    return v.CaseView(**{**values, **changes})


TABS = tuple(
    v.TabItem(tab, f"/alarms?tab={tab.value}", count)
    for tab, count in (
        (v.Tab.ALL, 4),
        (v.Tab.UNCLAIMED, 1),
        (v.Tab.WORKING, 3),
        (v.Tab.HELD, 0),
        (v.Tab.ON_TEST, 1),
        (v.Tab.CLOSED, 6),
    )
)
ALARMS = v.AlarmsPage(
    v.Tab.ALL, TABS, (WANG_ROW, ZHAO_ROW, SUN_ROW, TECHNICAL_ROW), selected=wang_case(), watched_count=242
)
ODD_ALARMS = v.AlarmsPage(
    v.Tab.ALL,
    TABS,
    (LONG_ROW, PROPOSED_ROW, ZHAO_ROW, HELD_ROW, CLOSED_ROW),
    selected=v.CaseView(PROPOSED_ROW, ago(days=3), 1, None, TIMELINE[2:], confirm_form=v.Form()),
    chosen=True,
)
MANY_ALARMS = v.AlarmsPage(
    v.Tab.ALL,
    TABS,
    tuple(
        row(
            100 + n,
            (v.Mark.HIGH, v.Mark.MID, v.Mark.LOW)[n // 67 % 3],
            household=home(f"{n % 9 + 1}-{n % 4 + 1}-{n % 18 + 1:02d}0{n % 3 + 1}", "周*成", 70 + n % 25),
            line=(WANG_LINE, ZHAO_LINE, ZHENG_LINE)[n // 67 % 3],
            grounds=ZHAO_GROUNDS,
            act=TaskKind.CALL,
            due_at=NOW + timedelta(minutes=n),
        )
        for n in range(200)
    ),
)
EMPTY_ALARMS = v.AlarmsPage(v.Tab.ALL, tuple(v.TabItem(t.tab, t.url, 0) for t in TABS), (), watched_count=242)


def household_page() -> v.HouseholdPage:
    return v.HouseholdPage(
        WANG,
        WANG_LINE,
        WANG_GROUNDS,
        chart(),
        watched_from=ago(days=200),
        hard_of_hearing=True,
        openings=tuple(reversed(chart().openings))[:8],
        absences=(v.AbsenceView(1, ago(days=9.4), ago(days=7.6), "女儿", ago(days=10), "relatives"),),
        absence_form=v.Form(errors={"to": "absence_too_long"}, values={"to": "2027-03-01T08:00"}),
        consents=(
            v.ConsentView("watch", "本人", ago(days=200)),
            v.ConsentView("notify_family", "本人", ago(days=200)),
            v.ConsentView("share_with_police"),
            v.ConsentView("exact_times", "本人", ago(days=200), ago(days=20)),
        ),
        devices=DEVICES[:2],
        contacts=CONTACTS,
        case_url="/cases/7",
        case_number="2026-1121-007",
        past_cases=(CLOSED_ROW,),
        log_url="/access-log?door=3-1-1201",
        looked_url="/looked?household=3-1-1201",
        presence_form=v.Form(errors={"purpose": "purpose_missing"}),
        presence_purposes=("call_back", "visit"),
    )


DEVICES = (
    v.DeviceRow(
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
    ),
    v.DeviceRow(
        "pir-3-1-1201",
        "motion",
        "PIR-2",
        "3-1-1201 客厅",
        True,
        ago(minutes=4),
        5_400_000,
        "gw-0301",
        battery_percent=12,
        clock="rtc",
        unsent=3,
        household_count=1,
    ),
    v.DeviceRow(
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
    v.DeviceRow(
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
    v.DeviceRow("dc-9-9-9999", "controller", "", "", False, None, 180_000),
)


BUILDING_ROWS = (
    b.BuildingRow("1", "/buildings?building=1", "3", 36, 9, (), 0, b.Position(0, 0, 58, 14)),
    b.BuildingRow(
        "3", "/buildings?building=3", "3", 36, 11, ((v.Mark.HIGH, 1), (v.Mark.LOW, 4)), 0,
        b.Position(74, 0, 26, 22), chosen=True,
    ),
    b.BuildingRow(
        "5", "/buildings?building=5", "4", 72, 20, ((v.Mark.UNKNOWN, 4),), 5, b.Position(0, 60, 58, 14, -8)
    ),
    b.BuildingRow("7", "/buildings?building=7", "4", 24, 6, ((v.Mark.MID, 2),), 1, b.Position(88, 64, 58, 14)),
    b.BuildingRow("西区商住楼", "/buildings?building=x", "", 12, 0),
)  # fmt: skip


def line_of(household: v.HouseholdName, line: v.DayLine | None, **changes: Any) -> v.HouseholdLine:
    return v.HouseholdLine(household, line, **changes)


FOUND = m.MorningResult(
    SUN, TaskKind.CALL, Outcome.NO_ANSWER, ago(minutes=20), "/tasks/50", by="李敏"
)  # fmt: skip
MORNING = m.MorningPage(
    datetime(2026, 11, 21, 0, 30, tzinfo=UTC),
    242,
    (
        m.MorningColumn(
            m.MorningKind.VISIT,
            1,
            (
                m.MorningCard(
                    line_of(WANG, WANG_LINE, grounds=WANG_GROUNDS, case_url="/cases/7", holder="陈伟"),
                    m.MorningTask(
                        71, TaskKind.VISIT, ago(minutes=-15), "陈伟", m.QUICK_RESULTS[TaskKind.VISIT]
                    ),
                ),
            ),
        ),
        m.MorningColumn(
            m.MorningKind.CALL,
            2,
            (
                m.MorningCard(
                    line_of(ZHAO, ZHAO_LINE, grounds=ZHAO_GROUNDS, case_url="/cases/6"),
                    m.MorningTask(61, TaskKind.CALL, ago(minutes=8), results=m.QUICK_RESULTS[TaskKind.CALL]),
                    next_up=True,
                ),
                m.MorningCard(line_of(SUN, SUN_LINE, case_url="/cases/5", holder="李敏"), last=FOUND),
            ),
        ),
        m.MorningColumn(
            m.MorningKind.WARNING,
            6,
            (
                m.MorningCard(
                    line_of(
                        ZHENG,
                        ZHENG_LINE,
                        grounds=v.Grounds(
                            has_sensors=True, last_sign=v.LifeSign(ago(hours=24), v.SignKind.MOTION)
                        ),
                    )
                ),
                m.MorningCard(line_of(LONG, ZHENG_LINE)),
            ),
        ),
        m.MorningColumn(
            m.MorningKind.UNKNOWN, 4, (m.MorningCard(line_of(home("5-4-0101", "何*芬", 90), UNKNOWN_LINE)),)
        ),
        m.MorningColumn(m.MorningKind.AWAY, 7),
        m.MorningColumn(m.MorningKind.NORMAL, 214),
    ),
    next_list_at=datetime(2026, 11, 21, 9, tzinfo=UTC),
    grids=(v.Choice("3", "第 3 网格"), v.Choice("4", "第 4 网格")),
    results=(
        FOUND,
        m.MorningResult(
            LONG, TaskKind.VISIT, Outcome.WELL, ago(hours=1), "/tasks/49", Contacted.SAW, "楼长张建国", "李敏"
        ),
    ),
    witness="李敏",
)
DOOR_LIST = m.DoorListPage(
    NOW,
    (
        line_of(SUN, SUN_LINE, case_number="2026-1121-005"),
        line_of(WANG, WANG_LINE, case_number="2026-1121-007"),
        line_of(ZHAO, ZHAO_LINE, case_number="2026-1121-006"),
        line_of(LONG, LONG_LINE),
    ),
    "李敏",
)
TASKS = v.TasksPage(
    (
        visit_task(),
        v.TaskView(
            32,
            TaskKind.CALL,
            TaskState.OPEN,
            "property_clerk",
            NOW + timedelta(hours=2),
            start_at=NOW + timedelta(minutes=18),
            household=ZHAO,
            case_number="2026-1121-006",
            mark=v.Mark.MID,
            url="/tasks/32",
        ),
    ),
    (CALL_DONE,),
)
FIELD = v.FieldPage(
    visit_task(v.Form()),
    WANG,
    "王奶奶",
    WANG_LINE,
    "文昌花园 3 栋 1 单元 1201",
    hard_of_hearing=True,
    begin_url="/tasks/31/begin",
    contacts=CONTACTS,
    duty_phone="02000000000",
)
FIELD_FORM = v.FieldPage(
    visit_task(
        v.Form(
            {"outcome": "well", "note": "在家看电视"},
            {"contacted": "how_is_missing", "witness": "witness_is_missing"},
        )
    ),
    WANG,
    "王奶奶",
    WANG_LINE,
    "文昌花园 3 栋 1 单元 1201",
    contacts=CONTACTS,
    duty_phone="02000000000",
)


FIELD_CALL = v.FieldPage(
    v.TaskView(
        32,
        TaskKind.CALL,
        TaskState.CLAIMED,
        "property_clerk",
        NOW + timedelta(minutes=38),
        household=ZHAO,
        case_number="2026-1121-006",
        mark=v.Mark.MID,
        outcomes=(Outcome.WELL, Outcome.HELPED, Outcome.NO_ANSWER, Outcome.AWAY, Outcome.HOSPITAL),
        form=v.Form(),
    ),
    ZHAO,
    "赵建国",
    ZHAO_LINE,
    "文昌花园 7 栋 2 单元 0302",
    contacts=(v.Contact("赵建国", "resident", "", "13800000010"), *CONTACTS),
)


def log_row(hours: float, type_: str, **changes: Any) -> v.LogRow:
    at = ago(hours=hours)
    return v.LogRow(
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
LOG = v.AccessLogPage(
    v.LogFilter(door="3-1-1201", from_text="2026-11-20T00:00", to_text="2026-11-19T00:00"),
    LOG_ROWS,
    (v.Choice("3-1-1201", "3-1-1201"), v.Choice("ac-3-1", "3-1 单元门")),
    (v.Choice("3", "3"),),
    (v.Choice("1", "1"),),
    ("DoorPhysicalState", "AccessTaken", "Denied"),
    ("card", "face", "qr"),
    {"to": "from_after_to"},
    1873,
    None,
    "/access-log?after=1",
)
TECHNICAL_PAGE = TechnicalPage(
    causes=(
        CauseCard("2026-1121-004", "/cases/4", TECHNICAL, ago(hours=-1), "李敏"),
        CauseCard(
            "2026-1121-009",
            "/cases/9",
            v.Technical("device", "door-12", "9 栋 1 单元 302", ago(hours=1), 1, never_heard=True),
            ago(minutes=5),
            overdue=True,
        ),
        CauseCard(
            "2026-1121-010", "/cases/10", v.Technical("quarantine", "wenchang", "文昌里", ago(hours=2), 0)
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
QUARANTINE = v.QuarantinePage(
    (
        v.QuarantineRow(
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
        v.QuarantineRow(
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
    1,
)


def family(state: v.FamilyState, **changes: Any) -> v.FamilyPage:
    values: dict[str, Any] = {
        "household": WANG,
        "relation": "妈妈",
        "state": state,
        "phone": "13800000009",
        "spoke_form": v.Form(),
        "away_form": v.Form(),
        "look_form": v.Form(),
    }
    return v.FamilyPage((v.FamilyHome(**{**values, **changes}),))


FAMILY_GOOD = family(
    v.FamilyState.GOOD,
    line=GOOD_LINE,
    evidence_at=ago(hours=0.5),
    evidence_kind=EvidenceKind.OWN_CREDENTIAL,
    direction="in",
)
FAMILY_CONTACT = family(
    v.FamilyState.GOOD, evidence_at=ago(hours=16), evidence_kind=EvidenceKind.OPENING, relation="爸爸"
)
FAMILY_DAY2 = family(
    v.FamilyState.DAY2,
    line=ZHAO_LINE,
    presumed=v.Presumed.IN,
    last_sign=v.LifeSign(ago(hours=11), v.SignKind.WATER),
    worker="李敏",
    act=TaskKind.CALL,
    result_by=NOW + timedelta(minutes=28),
    asked_at=ago(minutes=5),
)
FAMILY_UNKNOWN = family(
    v.FamilyState.UNKNOWN,
    line=UNKNOWN_LINE,
    evidence_at=ago(hours=14),
    evidence_kind=EvidenceKind.OWN_CREDENTIAL,
    unknown_cause="gateway",
    unknown_since=ago(hours=3),
    act=TaskKind.CALL,
    result_by=NOW + timedelta(hours=3, minutes=18),
)
FAMILY_AWAY = family(
    v.FamilyState.AWAY,
    line=AWAY_LINE,
    away_until=NOW + timedelta(days=3),
    looked=(v.LookRow(ago(hours=5), "李敏", "property_clerk", "household", "care"),),
)

TICKET = vt.TicketView(
    12, "L-12", ago(days=1), "刘警官", "granted", "missing_person", "A4401062026110012", "case_file", "ac-3-1", (),
    "", "", ago(days=2), ago(days=1), decider="周警官", decided_at=ago(days=1),
)  # fmt: skip
EMERGENCY = replace(
    TICKET, id=13, number="L-13", emergency=True, basis="emergency", reason="老人走失，天黑前要找到", decider="",
    decided_at=None, review_due_at=ago(hours=2), review_overdue=True, subject="王秀英", delayed_until=ago(days=-30),
    limits=("named_person", "delay"),
)  # fmt: skip
POLICE = v.PolicePage(
    tuple(
        v.BuildingCount(str(n), 20 + n, n % 3, n % 2, 1 if n == 3 else 0, 4 if n == 5 else 0)
        for n in range(1, 8)
    ),
    (WANG_ROW,),
    (TICKET,),
)
LOOK_UP = v.LookUpPage(
    v.Form(
        {"purpose": "missing_person", "from": "2026-11-20T00:00", "to": "2026-11-21T00:00"},
        {"case_number": "case_number_missing", "basis": "required", "reason": "reason_is_missing"},
    ),
    ("missing_person", "life_risk", "criminal_case"),
    ("case_file", "written_request", "emergency"),
    (v.Choice("ac-3-1", "3-1 单元门"),),
    (v.Choice("3", "3"), v.Choice("5", "5")),
    ("5",),
    (v.Choice("1", "1"),),
    7,
)
LOOK_UP_RESULT = replace(
    LOOK_UP,
    form=v.Form(),
    ticket=replace(TICKET, emergency=True, review_due_at=ago(hours=-20)),
    rows=LOG_ROWS[:3],
    watermark="L-12 · 刘*警官 · 2026-11-21 08:42",
)
TICKETS = vt.TicketsPage((TICKET,), (replace(TICKET, state="asked"),), (), 1)
TICKETS_OF_SUPERVISOR = vt.TicketsPage((), (), (EMERGENCY,), 1, False, (TICKET, EMERGENCY))
AUDIT = vt.AuditPage(
    (
        vt.DrawnLook(
            7, ago(hours=3), "刘警官", "police_officer", "look_up", "missing_person", "ac-3-1", "L-12", "京公 12", 41
        ),
        vt.DrawnLook(
            6, ago(hours=9), "李敏", "property_clerk", "name_revealed", "call_back", "3-1-1201", noted=True,
            mark="not_justified", reason="没有对应的任务", marker="审计", marked_at=ago(hours=1),
        ),
    ),
    0.05,
    (vt.PeerRow("李敏", "property_clerk", 41, 3.5),),
    (vt.HomeRow("3-1-1201", 4, 9),),
    (vt.QuickRow("2026-1121-003", ago(hours=5), "李敏", "property_clerk", 4),),
    (vt.OutsideRow(ago(hours=6), "L-9", "kaimen", 500),),
    (EMERGENCY,),
    1,
    v.Form({"reason": "x"}, {"reason": "reason_is_missing", "mark": "not_an_answer"}),
    7,
)  # fmt: skip
PUBLIC = vt.TransparencyPage(
    "文昌花园",
    ("missing_person", "life_risk"),
    (vt.PublicMonth("2026-11", (("missing_person", 12), ("life_risk", None)), None, 7, None),),
    None,
)
LOOKED = v.LookedPage(
    (
        v.LookRow(ago(hours=5), "李敏", "property_clerk", "household", "care", "3-1-1201"),
        v.LookRow(ago(days=1), "刘*", "police_officer", "look_up", "missing_person", "LQ-2026-0012"),
    ),
    WANG,
)
CHANNELS = vc.ChannelsPage(
    (
        vc.ChannelRow(
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
        vc.ChannelRow(
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
        vc.ChannelRow("email", "ok", True, ago(minutes=9), addresses=7),
        vc.ChannelRow("webhook", "gone", False),
    ),
    True,
    (vc.InboundRow("sms_aliyun", NOW, ago(minutes=4), NOW), vc.InboundRow("sms_tencent", None, None, None)),
)
MY_CHANNELS = vc.MyChannelsPage(
    "/my/channels",
    (
        vc.AddressRow(
            1,
            "wechat",
            "oAb•••9x",
            True,
            False,
            v.Form(
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
        vc.AddressRow(
            2,
            "sms_aliyun",
            "139•••01",
            False,
            True,
            v.Form(
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
    v.Form({"address": "nobody"}, {"address": "not_a_phone"}),
    "abcdefgh",
    "http://weixin.qq.com/q/0a1b2c",
)
CONTACTS_PAGE = vc.ContactsPage(
    v.HouseholdName("h-1", "3-1-1201", building="3", unit="1", room="1201", name="王*英"),
    (vc.ContactRow("p-1", "李*", "女儿", 2, "/households/h-1/contacts/p-1/invite"),),
    "https://kaimen.example/bind/abcdefghijklmnop",
    "p-1",
)
DEMO_USERS = (
    v.DemoUser("clerk", "demo-clerk", Role.PROPERTY_CLERK),
    v.DemoUser("officer", "demo-officer", Role.POLICE_OFFICER),
    v.DemoUser("family", "demo-family", Role.FAMILY),
    v.DemoUser("admin", "demo-admin", Role.ADMIN),
)
SESSIONS = v.SessionsPage(
    (
        v.SessionRow(
            "00ff00ff00ff00ff", ago(hours=8), ago(minutes=1), "Windows", "Edge", True, "/sessions/00ff/end"
        ),
        v.SessionRow(
            "11ff00ff00ff00ff", ago(days=9), ago(days=2), "Android", "微信", False, "/sessions/11ff/end"
        ),
        v.SessionRow("22ff00ff00ff00ff", ago(days=30), ago(days=12), end_url="/sessions/22ff/end"),
    ),
    NOW,
)
ADMIN = v.AdminPage(
    (
        v.UserRow(
            "limin",
            "李敏",
            Role.PROPERTY_CLERK,
            ago(days=100),
            ago(minutes=20),
            act=v.Act("disable", "/admin/users/limin/disable", post=True),
        ),
        v.UserRow(
            "old",
            "周*",
            Role.GRID_WORKER,
            ago(days=300),
            None,
            ago(days=30),
            act=v.Act("enable", "/admin/users/old/enable", post=True),
        ),
    ),
    (
        v.ServiceRow("ingest", ago(minutes=0.02), 184_233, 1_000, True),
        v.ServiceRow("alerts", ago(minutes=8), 99_120, 480_000, False),
        v.ServiceRow("edge", None, 0, 0, False),
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
MARKS = {"3-1-1201": v.Mark.HIGH, "1-2-0301": v.Mark.MID, "1-1-0502": v.Mark.LOW, "2-1-0202": v.Mark.AWAY}


def building(number: str, units: int, floors: int, dark: str = "") -> v.Building:
    def of(unit: str, floor: int, side: int) -> v.Home:
        label = f"{number}-{unit}-{floor:02d}0{side}"
        mark = v.Mark.UNKNOWN if unit == dark else MARKS.get(label, v.Mark.NORMAL)
        return v.Home(
            label,
            label,
            floor,
            f"{floor}0{side}",
            mark,
            door_open=label == "1-1-0201",
            kept_shut=label == "3-1-1201",
        )

    return v.Building(
        number,
        tuple(
            v.Unit(
                str(u),
                tuple(of(str(u), f, s) for f in range(1, floors + 1) for s in (1, 2)),
                f"gw-0{number}0{u}",
                str(u) != dark,
            )
            for u in range(1, units + 1)
        ),
    )


STREET = (building("1", 3, 6), building("2", 2, 6, "2"), building("3", 1, 12))
DEMO = v.DemoPage(
    STREET,
    720,
    next_crossing_at=NOW + timedelta(hours=3),
    next_crossing_label="1-1-0502",
    selected=v.Home("3-1-1201", "3-1-1201", 12, "1201", v.Mark.HIGH, kept_shut=True, line=WANG_LINE),
    open_cases=3,
    acts=TIMELINE[2:4],
    users=DEMO_USERS,
)

#: name -> template, page, shell changes. Every template is here at least once.
SIGNALS = v.SignalsPage(
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
RENTALS = v.RentalsPage(
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

PERSON = vi.PersonRow("limin", "李敏", Role.PROPERTY_CLERK, "文昌花园", None, NOW, True)
REQUEST = vi.RequestRow(
    7, "change_role", "limin", "李敏", "周管理", NOW, NOW + timedelta(days=7), Role.POLICE_OFFICER, "文昌花园"
)

TESTS = va.DeviceTestsPage(
    (
        va.Waiting(
            8, "/devices/tests/8", "换电池，开盖会报防拆", "李敏", ago(minutes=5), NOW + timedelta(days=7), False,
            "z-3-1-1201", "3 栋 1 单元 1201 户门", NOW + timedelta(hours=2),
        ),
        va.Waiting(
            9, "/devices/tests/9", "更换网关", "陈伟", ago(minutes=1), NOW + timedelta(days=7), True, "g-5-4",
            until_at=NOW + timedelta(hours=8),
        ),
    ),
    (
        va.RunningTest(
            7, "/devices/tests/7", "g-7-2", "7 栋 2 单元", "布线施工", "李敏", "陈伟", NOW + timedelta(hours=1)
        ),
    ),
    (1, 2, 4, 8),
    NOW,
    v.Form({"device": "z-3-1-1201", "hours": "2"}, {"reason": "reason_missing"}),
)  # fmt: skip
POLICIES = va.PoliciesPage(
    (va.PolicyRow("frail", 2, (12, 24, 48), NOW, 18), va.PolicyRow("mandated", 1, (24, 48, 72), None, 242)),
    (
        va.Waiting(
            4, "/admin/policies/4", "今冬独居高龄老人加密", "周洁", ago(hours=3), NOW + timedelta(days=6), False,
            "frail", hours=(8, 16, 24),
        ),
    ),
    NOW,
)  # fmt: skip


AGREEMENTS = va.AgreementsPage(
    (
        va.WaitingMove(
            7, "/agreements/moves/7", "3-1-1201", "/households/h-wang", "policy", "mandated", "frail",
            "出院回家，独自一人", "周洁", ago(hours=2), NOW + timedelta(days=6), False,
        ),
        va.WaitingMove(
            8, "/agreements/moves/8", "7-2-302", "/households/h-zhao", "category", "独居", "", "kaimen import", "",
            ago(hours=5), NOW + timedelta(days=6), False,
        ),
    ),
    (
        va.ChangedNumber(
            3, "3-1-1201", "/households/h-wang", "王*", "139****2222", "138****1234", None, "", None, None
        ),
        va.ChangedNumber(
            4, "7-2-302", "/households/h-zhao", "赵*", "137****3333", "136****4444", ago(hours=3), "周洁",
            None, None,
        ),
        va.ChangedNumber(
            5, "1-3-601", "/households/h-sun", "孙*", "135****5555", "", ago(hours=30), "周洁",
            ago(hours=20), NOW + timedelta(hours=52),
        ),
    ),
    ("frail", "mandated"),
    ("高龄独居",),
    True,
    v.Form({"home": "3-9"}, {"home": "no_such_home"}),
)  # fmt: skip


PAGES: dict[str, tuple[str, Callable[[], object], dict[str, Any]]] = {
    "device-tests": ("device_tests.html", lambda: TESTS, {"current": "devices"}),
    "device-tests-empty": (
        "device_tests.html",
        lambda: va.DeviceTestsPage((), (), (1, 2, 4, 8), NOW),
        {"current": "devices"},
    ),
    "policies": ("policies.html", lambda: POLICIES, {"current": "admin", "role": Role.ADMIN}),
    "policies-read": (
        "policies.html",
        lambda: replace(POLICIES, waiting=(), may_ask=False),
        {"current": "admin", "role": Role.ADMIN},
    ),
    "agreements": ("agreements.html", lambda: AGREEMENTS, {"current": "households"}),
    "agreements-empty": (
        "agreements.html",
        lambda: va.AgreementsPage((), (), ("mandated",), (), False),
        {"current": "admin", "role": Role.ADMIN},
    ),
    "alarms": ("alarms.html", lambda: ALARMS, {"current": "alarms", "demo": False}),
    "alarms-odd": ("alarms.html", lambda: ODD_ALARMS, {"current": "alarms", "behind_ms": 480_000}),
    "alarms-many": ("alarms.html", lambda: MANY_ALARMS, {"current": "alarms"}),
    "alarms-empty": ("alarms.html", lambda: EMPTY_ALARMS, {"current": "alarms", "demo": False}),
    "case": (
        "case.html",
        lambda: v.CasePage(
            wang_case(
                contacts=CONTACTS,
                tasks=(visit_task(v.Form()), CALL_DONE),
                chart=chart(),
                note_form=v.Form(),
                hold_form=v.Form(errors={"reason": "reason_is_missing"}),
                hand_over_form=v.Form(),
                hand_over_roles=("police_officer", "grid_worker"),
                reveal_purposes=("call_back", "visit"),
            )
        ),
        {"current": "alarms"},
    ),
    "case-technical": (
        "case.html",
        lambda: v.CasePage(
            v.CaseView(
                TECHNICAL_ROW,
                ago(hours=3),
                1,
                v.NextStep(
                    TaskKind.DEVICE_CHECK,
                    NOW + timedelta(minutes=20),
                    primary=v.Act("claim", "/cases/4/claim", post=True, key="a"),
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
        lambda: v.HouseholdPage(ZHENG, None, None, None),
        {"current": "households"},
    ),
    "households": (
        "households.html",
        lambda: v.HouseholdsPage(
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
        lambda: v.HouseholdsPage((), query="99"),
        {"current": "households"},
    ),
    "morning": ("morning.html", lambda: MORNING, {"current": "morning", "demo": False}),
    "door-list": ("door_list.html", lambda: DOOR_LIST, {"current": "morning"}),
    "door-list-empty": ("door_list.html", lambda: m.DoorListPage(NOW, (), "李敏"), {"current": "morning"}),
    "tasks": ("tasks.html", lambda: TASKS, {"current": "tasks"}),
    "tasks-empty": (
        "tasks.html",
        lambda: v.TasksPage(()),
        {"current": "tasks", "notice": v.Phrase("claimed")},
    ),
    "field": ("field.html", lambda: FIELD, {"demo": False}),
    "field-call": ("field.html", lambda: FIELD_CALL, {}),
    "field-form": ("field.html", lambda: FIELD_FORM, {}),
    "buildings": (
        "buildings.html",
        lambda: b.BuildingsPage(
            BUILDING_ROWS, STREET, line_of(WANG, WANG_LINE, case_url="/cases/7", case_number="2026-1121-007")
        ),
        {"current": "buildings"},
    ),
    "buildings-no-places": (
        "buildings.html",
        lambda: b.BuildingsPage(tuple(replace(row, position=None) for row in BUILDING_ROWS), STREET),
        {"current": "buildings"},
    ),
    "buildings-empty": ("buildings.html", lambda: b.BuildingsPage((), ()), {"current": "buildings"}),
    "access-log": ("access_log.html", lambda: LOG, {"current": "access_log"}),
    "access-log-empty": (
        "access_log.html",
        lambda: v.AccessLogPage(v.LogFilter(), ()),
        {"current": "access_log"},
    ),
    "signals": ("signals.html", lambda: SIGNALS, {"current": "signals"}),
    "signals-empty": ("signals.html", lambda: v.SignalsPage((), ()), {"current": "signals"}),
    "rentals": ("rentals.html", lambda: RENTALS, {"current": "rentals", "role": Role.POLICE_OFFICER}),
    "rentals-empty": (
        "rentals.html",
        lambda: v.RentalsPage(0, 0, 0, 0, ()),
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
        lambda: v.FamilyPage(
            (
                replace(
                    FAMILY_GOOD.homes[0],
                    news=HomeNews(ago(hours=2), False, ago(hours=15), False, True, True, "17:30"),
                    notices_form=v.Form({"by_time": "x"}, {"by_time": "not_a_time"}),
                ),
            ),
            open_form="notices",
        ),
        {"role": Role.FAMILY},
    ),
    "devices": ("devices.html", lambda: v.DevicesPage(DEVICES, 5, 3), {"current": "devices"}),
    "devices-empty": ("devices.html", lambda: v.DevicesPage((), only="troubled"), {"current": "devices"}),
    "technical": ("technical.html", lambda: TECHNICAL_PAGE, {"current": "technical"}),
    "technical-empty": ("technical.html", TechnicalPage, {"current": "technical"}),
    "quarantine": ("quarantine.html", lambda: QUARANTINE, {"current": "quarantine"}),
    "quarantine-empty": ("quarantine.html", lambda: v.QuarantinePage(()), {"current": "quarantine"}),
    "family-good": ("family.html", lambda: FAMILY_GOOD, {"demo": False, "role": Role.FAMILY}),
    "family-contact": ("family.html", lambda: FAMILY_CONTACT, {"role": Role.FAMILY}),
    "family-day2": ("family.html", lambda: FAMILY_DAY2, {"demo": False, "role": Role.FAMILY}),
    "family-unknown": ("family.html", lambda: FAMILY_UNKNOWN, {"demo": False, "role": Role.FAMILY}),
    "family-away": ("family.html", lambda: FAMILY_AWAY, {"role": Role.FAMILY}),
    "family-nobody": ("family.html", lambda: v.FamilyPage(()), {"role": Role.FAMILY}),
    "police": ("police.html", lambda: POLICE, {"current": "police", "role": Role.POLICE_OFFICER}),
    "look-up": ("look_up.html", lambda: LOOK_UP, {"current": "police", "role": Role.POLICE_OFFICER}),
    "look-up-result": (
        "look_up.html",
        lambda: LOOK_UP_RESULT,
        {"current": "police", "role": Role.POLICE_OFFICER},
    ),
    "look-up-refused": (
        "look_up.html",
        lambda: replace(LOOK_UP, form=v.Form(), refused="error.never_trained", left_today=0),
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
        lambda: vt.TicketsPage((), (), ()),
        {"current": "tickets", "role": Role.POLICE_OFFICER},
    ),
    "ticket": (
        "ticket.html",
        lambda: vt.TicketPage(
            TICKET, (vt.ReadingRow(ago(hours=3), "刘警官", "read", 41),), v.Form(), may_read=True
        ),
        {"current": "tickets", "role": Role.POLICE_OFFICER},
    ),
    "ticket-review": (
        "ticket.html",
        lambda: vt.TicketPage(
            EMERGENCY, (), v.Form({"reason": "x"}, {"reason": "reason_is_missing"}), may_review=True
        ),
        {"current": "tickets", "role": Role.POLICE_SUPERVISOR},
    ),
    "audit": ("audit.html", lambda: AUDIT, {"current": "audit", "role": Role.AUDITOR}),
    "audit-empty": (
        "audit.html",
        lambda: vt.AuditPage((), 0.05, form=v.Form()),
        {"current": "audit", "role": Role.AUDITOR},
    ),
    "transparency": ("transparency.html", lambda: PUBLIC, {"user": None, "role": None}),
    "transparency-choose": (
        "transparency.html",
        lambda: vt.TransparencyPage(communities=(v.Choice("a&b", "文昌花园"),)),
        {"user": None, "role": None},
    ),
    "looked": ("looked.html", lambda: LOOKED, {"current": "looked"}),
    "admin": ("admin.html", lambda: ADMIN, {"current": "admin", "role": Role.ADMIN}),
    "channels": ("channels.html", lambda: CHANNELS, {"current": "admin", "role": Role.ADMIN}),
    "channels-none": (
        "channels.html",
        lambda: vc.ChannelsPage((), False),
        {"current": "admin", "role": Role.ADMIN},
    ),
    "my-channels": ("my_channels.html", lambda: MY_CHANNELS, {"demo": False, "role": Role.FAMILY}),
    "contacts": ("contacts.html", lambda: CONTACTS_PAGE, {"current": "households"}),
    "seen": (
        "seen.html",
        lambda: vc.SeenPage("2025-1117-001", "ask", "abcdefghijklmnop"),
        {"user": None, "role": None},
    ),
    "seen-thanks": (
        "seen.html",
        lambda: vc.SeenPage("2025-1117-001", "thanks", "abcdefghijklmnop"),
        {"user": None, "role": None},
    ),
    "sessions": ("sessions.html", lambda: SESSIONS, {"current": ""}),
    "demo": ("demo.html", lambda: DEMO, {"current": "demo", "speed": 720.0}),
    "sign-in": (
        "sign_in.html",
        lambda: v.SignInPage(v.Form({"name": "limin"}, {"password": "wrong_password"}), "/", DEMO_USERS),
        {"user": None, "role": None},
    ),
    "sign-in-wait": (
        "sign_in.html",
        lambda: v.SignInPage(v.Form({}, {"": "wait_a_little"}), wait_ms=90_000, outer_name="企业微信"),
        {"user": None, "role": None},
    ),
    "sign-in-code": (
        "sign_in_code.html",
        lambda: vi.CodePage(v.Form({}, {"code": "wrong_totp"}), wait_ms=15_000),
        {"user": None, "role": None},
    ),
    "account-factor": (
        "account_factor.html",
        lambda: vi.FactorPage(v.Form(), url="otpauth://totp/x?secret=ABC", secret="ABC", needed=True),
        {"factor_due_at": NOW},
    ),
    "account-factor-codes": (
        "account_factor.html",
        lambda: vi.FactorPage(v.Form(), confirmed_at=NOW, codes_left=10, codes=("ABCD-EFGH-JKMN-PQRS",)),
        {},
    ),
    "account-factor-stands": (
        "account_factor.html",
        lambda: vi.FactorPage(v.Form({}, {"code": "wrong_totp"}), NOW, 3),
        {},
    ),
    "account-password": (
        "account_password.html",
        lambda: vi.PasswordPage(v.Form({}, {"old": "wrong_old_password"}), True),
        {},
    ),
    "account-tokens": (
        "account_tokens.html",
        lambda: vi.TokensPage(
            v.Form(),
            (vi.TokenRow("大屏", ("read:cases",), NOW, NOW, None, "/account/tokens/1/revoke"),),
            ("read:cases", "write:acts"),
            "kaimen_sample",
        ),
        {},
    ),
    "people": (
        "people.html",
        lambda: vi.PeoplePage(
            v.Form({"q": "", "role": ""}),
            (PERSON, vi.PersonRow("zhao", "赵警官", Role.POLICE_OFFICER, "文昌花园", NOW)),
            (REQUEST, replace(REQUEST, id=8, own=True)),
            ("admin", "property_clerk"),
            "zhao",
        ),
        {"role": Role.ADMIN},
    ),
    "people-none": (
        "people.html",
        lambda: vi.PeoplePage(v.Form({"q": "x", "role": ""}), ()),
        {"role": Role.ADMIN},
    ),
    "person-new": (
        "person_new.html",
        lambda: vi.NewPersonPage(
            v.Form({}, {"name": "name_taken"}), ("admin",), (v.Choice("w", "文昌花园"),)
        ),
        {"role": Role.ADMIN},
    ),
    "person": (
        "person.html",
        lambda: vi.PersonPage(
            replace(PERSON, role=Role.POLICE_OFFICER),
            NOW,
            v.Form({}, {"position": "not_together"}),
            sessions=2,
            factor_at=NOW,
            trained_until=NOW.date(),
            password_due=True,
            positions=(vi.HeldPosition(3, Role.GUARD, "文昌花园"),),
            places=(v.Choice("b", "滨河苑"),),
            outer=("zhao@bureau",),
            outer_name="企业微信",
            requests=(REQUEST,),
            roles=("admin", "guard"),
            all_places=(v.Choice("w", "文昌花园"),),
            shown_password="sample-password",
        ),
        {
            "role": Role.ADMIN,
            "positions": (v.Position("", Role.ADMIN, "", True), v.Position("4", Role.GUARD, "文昌花园")),
        },
    ),
    "error-403": ("error.html", lambda: v.ErrorPage(403), {}),
    "error-500": ("error.html", lambda: v.ErrorPage(500, request_id="7f3a", retry_url="/"), {}),
    "offline": ("offline.html", lambda: v.ErrorPage(503), {}),
}

PAGES |= samples_guard.pages(task=visit_task(v.Form()), home=WANG, contacts=CONTACTS)
PAGES.update(samples_screens.PAGES)
PAGES.update(samples_look_back.PAGES)
