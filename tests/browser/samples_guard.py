"""Samples of the pages of visits, the watchdog and the figures: nothing enters, view-models in honest states leave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from console.views import case as case_views
from console.views import guard as guard_views
from console.views import held as held_views
from console.views import parts as view_parts
from console.views import visits as visits_views
from console.visiting import PARTS, Step
from kaimen.vocabulary import Role


def pages(
    *, task: case_views.TaskView, home: view_parts.HouseholdName, contacts: tuple[view_parts.Contact, ...]
) -> dict[str, tuple[str, Callable[[], object], dict[str, Any]]]:
    """Return the samples by name, made of the street's own people."""
    now = task.due_at
    typed = {"place": "inside", **dict.fromkeys(PARTS, "well"), "need": "urgent", "second_person": "李敏"}
    visit = visits_views.VisitPage(task, home, view_parts.Form(), (now - timedelta(hours=1),), "/tasks/31")
    wrong = replace(
        visit, form=view_parts.Form(typed, {"need_note": "urgent_needs_note", "health": "form_incomplete"})
    )
    done = (
        visits_views.StepDone("family_phoned", now - timedelta(minutes=20), "陈伟", "女儿", "没有钥匙"),
        visits_views.StepDone("key_handed_out", now - timedelta(minutes=5), "陈伟", "警号 0123"),
    )
    entry = visits_views.EntryPage(
        task, home, view_parts.Form(), "neighbours_asked", tuple(step.value for step in Step), done, True,
        "文昌花园 3 栋 1 单元 1201", contacts, "/tasks/31",
    )  # fmt: skip
    refused = replace(entry, form=view_parts.Form({"step": "entered"}, {"": "entry_not_yet"}))
    results = visits_views.ResultsPage(
        (
            visits_views.DoorResult(
                task, view_parts.Form({"outcome": "well"}, {"witness": "witness_is_missing"})
            ),
            visits_views.DoorResult(replace(task, id=32), view_parts.Form()),
        ),
        3,
    )
    finding = guard_views.FindingRow(
        "数据库没有应答", "检查数据库进程、磁盘空间和网络。", ("database",), now, None, 3
    )
    watchdog = guard_views.WatchdogPage(
        (finding,), (replace(finding, ended_at=now),), now, False, True, True, now, now
    )
    figures = guard_views.FigureRow(now, 104, 4.3, 1, 2, 1, 5, 19, 80, 240.0, 900.0, None, 12, 11)
    called = guard_views.CallRow("2026-1121-001", home, "王秀英", "13800000000", now, contacts)
    photos = visits_views.PhotosPage(
        visit.task, visit.household,
        (
            visits_views.PhotoRow(4, "/tasks/1/photos/4", visit.task.due_at, "张建国"),
            visits_views.PhotoRow(5, "/tasks/1/photos/5", visit.task.due_at, "张建国"),
        ),
        True, view_parts.Form({}, {"photo": "photo_no_jpeg"}), 3, ("visit", "call_back", "emergency"),
    )  # fmt: skip
    admin: dict[str, Any] = {"role": Role.ADMIN, "current": "admin"}
    return {
        "visit": ("visit.html", lambda: visit, {"demo": False}),
        "visit-wrong": ("visit.html", lambda: wrong, {}),
        "visit-closed": ("visit.html", lambda: replace(visit, form=None), {}),
        "photos": ("photos.html", lambda: photos, {"demo": False}),
        "photos-not-agreed": ("photos.html", lambda: replace(photos, photos=(), agreed=False, form=None), {}),
        "entry": ("entry.html", lambda: entry, {"demo": False}),
        "entry-refused": ("entry.html", lambda: refused, {}),
        "visit-results": ("visit_results.html", lambda: results, {"current": "tasks"}),
        "visit-results-none": (
            "visit_results.html",
            lambda: visits_views.ResultsPage(()),
            {"current": "tasks"},
        ),
        "watchdog": ("watchdog.html", lambda: watchdog, admin),
        "watchdog-never": (
            "watchdog.html",
            lambda: guard_views.WatchdogPage((), (), None, True, False, False, None, None),
            {**admin, "unreached": True, "watchdog_silent": True},
        ),
        "call-list": (
            "call_list.html",
            lambda: guard_views.CallListPage(
                (called,), (guard_views.Colleague("陈伟", "grid_worker", "138"),), now, "李敏", 2
            ),
            {},
        ),
        "call-list-none": ("call_list.html", lambda: guard_views.CallListPage((), (), now, "李敏"), {}),
        "held": (
            "held.html",
            lambda: held_views.HeldPage(
                now,
                "restored",
                now - timedelta(hours=9),
                2,
                (
                    held_views.HeldRow(7, "260301-001", "webhook", now, True),
                    held_views.HeldRow(8, "", "sms_aliyun", now, False),
                ),
                True,
                None,
                "/admin/held?after=8",
            ),
            {**admin, "outbox_held": True},
        ),
        "held-none": (
            "held.html",
            lambda: held_views.HeldPage(None, "", None, 0, (), False, None, None),
            admin,
        ),
        "figures": (
            "figures.html",
            lambda: guard_views.FiguresPage(
                "day", (figures,) * 31, "文昌花园", (("w", "文昌花园"), ("b", "滨河苑")), "w"
            ),
            admin,
        ),
    }
