"""Further pages in sample states, and the navigation a role really has: nothing enters, view-models leave.

Duty, early watch, questions about the past, the watchdog's page and the paper it falls back to.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, time, timedelta
from typing import Any

from alerts.duty.dry_run import Answer, Line, Question
from alerts.duty.readiness import find_gaps
from alerts.duty.roster import CommunityDuty, DutyRoster, Ground, Override, Person, Rule
from alerts.rules.reasons import Reason
from console.duty.shown import RosterPage, make_page, rows_of
from console.identity.leaving import Left
from console.navigation import NAV
from console.navigation import navigation as groups_of
from console.pages.consents import ConsentEntry, ConsentsPage, EarlyView, PurposeView
from console.pages.dry_run import DryRunPage
from console.scope import sections_of
from console.views import guard as guard_views
from console.views import household as household_views
from console.views import parts as view_parts
from console.views import shell as shell_views
from kaimen.policy import LadderPolicy
from kaimen.vocabulary import EvidenceKind, Role, TaskKind
from tests.browser import samples
from tests.browser.samples import NOW, SUN, WANG, ZHAO, ago

LI, CHEN, ZHOU, HE = 11, 12, 21, 22
NAMES = {LI: "李敏", CHEN: "陈伟", ZHOU: "周建成", HE: "何桂芬"}
DUTY = CommunityDuty(
    "wenchang",
    rosters={
        Role.PROPERTY_CLERK: DutyRoster(
            (
                Rule("workdays", time(8), time(18), (LI, CHEN)),
                Rule("rest_days", time(9), time(12), (CHEN,), date(2026, 11, 1), date(2027, 3, 31)),
            ),
            overrides=(Override(NOW + timedelta(days=2), NOW + timedelta(days=2, hours=5), (CHEN,), True),),
        ),
        Role.GUARD: DutyRoster((Rule("every", time(18), time(8), (ZHOU,)),)),
    },
    people={
        LI: Person(LI, NAMES[LI], Role.PROPERTY_CLERK, personal=True),
        CHEN: Person(CHEN, NAMES[CHEN], Role.PROPERTY_CLERK),
        ZHOU: Person(ZHOU, NAMES[ZHOU], Role.GUARD, personal=True),
        HE: Person(HE, NAMES[HE], Role.GRID_WORKER),
    },
)
GAPS = tuple(find_gaps(DUTY, now=NOW))
COMMUNITIES = (view_parts.Choice("wenchang", "文昌花园"), view_parts.Choice("liuhe", "六合里"))
IN_HAND = ({"id": 7, "number": "2026-1121-007", "holder_for": None},)


def duty_page(**further: Any) -> object:
    values: dict[str, Any] = {"communities": COMMUNITIES[:1], "may_manage": True, "mine": True, "user_id": LI}
    return make_page(DUTY, now=NOW, **{**values, **further})


def duty_in_use() -> object:
    span = {"from_at": NOW + timedelta(days=1), "to_at": NOW + timedelta(days=1, hours=9)}
    swap = {
        **span, "id": 3, "giver": NAMES[CHEN], "taker": NAMES[LI], "taker_id": LI, "note": "体检",
        "back_from_at": NOW + timedelta(days=5), "back_to_at": NOW + timedelta(days=5, hours=9),
    }  # fmt: skip
    offer = {
        "id": 4, "case_id": 7, "number": "2026-1121-007", "from_name": NAMES[CHEN], "from_for": NAMES[ZHOU], "to_name": NAMES[LI],
        "to_user_id": LI, "offered_at": ago(hours=1), "note": "女儿 10 点回电话",
    }  # fmt: skip
    test = {
        "id": 5, "display_name": NAMES[ZHOU], "role": Role.GUARD, "state": "waiting", "done_at": None, "note": "", "rings": True,
    }  # fmt: skip
    return duty_page(
        swaps=(swap,), offers=(offer,), in_hand=IN_HAND, colleagues=(view_parts.Choice(str(CHEN), NAMES[CHEN]),), tests=(test,),
        feed={"made_at": ago(days=30), "read_at": ago(hours=2)},
    )  # fmt: skip


def roster_page() -> object:
    roster = DUTY.rosters[Role.PROPERTY_CLERK]
    span = {"from_at": NOW + timedelta(days=2), "to_at": NOW + timedelta(days=2, hours=5)}
    return RosterPage(
        "wenchang",
        Role.PROPERTY_CLERK.value,
        True,
        rows_of(roster.rules, NAMES),
        tuple({"id": person, "display_name": NAMES[person]} for person in (LI, CHEN)),
        ({**span, "id": 1, "user_ids": [CHEN], "reason": "社区活动"},),
        ({**span, "id": 2, "user_id": LI, "deputy_id": CHEN, "reason": "年休"},),
        NAMES,
    )


def dry_run_page() -> object:
    lines = (
        Line(NOW + timedelta(days=1), "stage", "1", Reason.OPENED),
        Line(
            NOW + timedelta(days=2), "task", "2", Reason.OPENED, role=Role.PROPERTY_CLERK, act=TaskKind.CALL,
            due_at=NOW + timedelta(days=2, hours=2), people=(LI, CHEN), ground=Ground.RULE,
        ),
        Line(
            NOW + timedelta(days=2), "message", "2", Reason.OPENED, who=f"user:{LI}", role=Role.PROPERTY_CLERK,
            channel="wechat", ground=Ground.RULE,
        ),
        Line(NOW + timedelta(days=2, hours=1), "message", "2", Reason.OPENED, who="person:8", channel="sms_aliyun"),
        Line(
            NOW + timedelta(days=3), "task", "3", Reason.OPENED, role=Role.GUARD, act=TaskKind.VISIT,
            due_at=NOW + timedelta(days=3, hours=1), people=(ZHOU,), ground=Ground.RULE,
        ),
    )  # fmt: skip
    question = Question(NOW, household_id=WANG.id, community_id="wenchang")
    answer = Answer(
        question, "Asia/Shanghai", LadderPolicy(), NOW + timedelta(days=3, hours=12), lines, NAMES, True
    )
    form = view_parts.Form({"household": WANG.label, "from_at": "2026-11-21T08:42"})
    return DryRunPage("wenchang", (), (view_parts.Choice("frail", "frail"),), True, form, answer)


def consents_page() -> object:
    def purpose(name: str, *entries: ConsentEntry, **errors: str) -> PurposeView:
        return PurposeView(name, entries, view_parts.Form({}, errors))

    own = ConsentEntry("resident", ago(days=200), None)
    past = ConsentEntry("女儿王敏，母亲在旁同意", ago(days=300), ago(days=250))
    return ConsentsPage(
        WANG,
        (
            purpose("watch", own),
            purpose("notify_family", own, past),
            purpose("exact_times", given_by="given_by_is_missing"),
            purpose("share_with_police", past),
            purpose("early_watch", own),
            purpose("visit_photo"),
        ),
        EarlyView("early.silent", ago(hours=31), 42, NOW),
    )


def why_page() -> object:
    seen = [
        household_views.KnownEvidence(ago(days=3, hours=3), EvidenceKind.OWN_CREDENTIAL, "ac-3-1"),
        household_views.KnownEvidence(ago(days=4), EvidenceKind.VERIFIED, None, "王敏（女儿）"),
        household_views.KnownEvidence(ago(days=5), EvidenceKind.OPENING, "dc-3-1-1201"),
    ]
    return household_views.WhyPage(
        WANG, view_parts.Form({"at": "2026-11-20T20:00"}), ago(hours=12.7), True, seen[0], tuple(seen),
        inactive_ms=62 * samples.HOUR_MS, blind_ms=9 * samples.HOUR_MS, stage=2, known=True, watched_until=ago(hours=12.7),
        forgotten=True,
    )  # fmt: skip


WATCHDOG = guard_views.WatchdogPage(
    (
        guard_views.FindingRow("判断服务没有前进", "看 ingest 服务是否在运行，重启它。", ("ingest",), ago(hours=1), None, 2),
        guard_views.FindingRow("网关不再发消息", "到网关处查看电源与网络。", ("gw-0504", "gw-0302"), ago(hours=3)),
    ),
    (guard_views.FindingRow("磁盘空间不足", "", ("/var/lib/kaimen",), ago(days=2), ago(days=1)),),
    ago(minutes=1), False, True, False, ago(hours=1), None,
)  # fmt: skip
WATCHDOG_NEVER = guard_views.WatchdogPage((), (), None, True, False, False, None, None)
CALL_LIST = guard_views.CallListPage(
    (
        guard_views.CallRow("2026-1121-007", WANG, "王秀英", "138 0000 1201", ago(hours=-1), samples.CONTACTS),
        guard_views.CallRow("2026-1121-006", ZHAO, "赵建国", None, ago(hours=-2)),
        guard_views.CallRow("2026-1121-004", SUN, "孙玉兰", "138 0000 0601", None),
    ),
    (guard_views.Colleague("陈伟", "property_clerk", "139 0000 0002"),),
    NOW,
    "李敏",
    12,
)  # fmt: skip
LEFT = Left(CHEN, "chenwei", NAMES[CHEN], False, 2, 1, 1, 2, ("2026-1121-006",), 3, GAPS[:3])

ADMIN = {"current": "admin", "role": Role.ADMIN}


PAGES: dict[str, tuple[str, Callable[[], object], dict[str, Any]]] = {
    **samples.PAGES,
    "duty": ("duty.html", duty_page, {"current": "duty"}),
    "duty-in-use": ("duty.html", duty_in_use, {"current": "duty"}),
    "duty-empty": (
        "duty.html",
        lambda: make_page(CommunityDuty("x"), now=NOW, communities=COMMUNITIES, may_manage=True, mine=False),
        {"current": "duty", "role": Role.ADMIN},
    ),
    "duty-roster": ("duty_roster.html", roster_page, {"current": "duty"}),
    "dry-run": ("dry_run.html", dry_run_page, {"current": "dry_run"}),
    "consents": ("consents.html", consents_page, {"current": "households"}),
    "why": ("why.html", why_page, {"current": "households"}),
    "why-ask": (
        "why.html",
        lambda: household_views.WhyPage(WANG, view_parts.Form()),
        {"current": "households"},
    ),
    "watchdog": ("watchdog.html", lambda: WATCHDOG, ADMIN),
    "watchdog-never": ("watchdog.html", lambda: WATCHDOG_NEVER, {**ADMIN, "watchdog_silent": True}),
    "call-list": ("call_list.html", lambda: CALL_LIST, {"current": "alarms", "unreached": True}),
    "call-list-empty": (
        "call_list.html",
        lambda: guard_views.CallListPage((), (), NOW, "李敏"),
        {"current": "alarms"},
    ),
    "left": ("left.html", lambda: LEFT, ADMIN),
}


def navigation(role: Role, current: str) -> tuple[shell_views.NavGroup, ...]:
    """Return what ``role`` has in its navigation, so that one that grew too long is seen here."""
    counts = {"alarms": 4, "morning": 9, "tasks": 3, "devices": 1, "quarantine": 2}
    section = next((section for section in sections_of(role) if NAV[section][1] == current), None)
    return groups_of(role, section, counts, demo=True, demo_current=current == "demo")
