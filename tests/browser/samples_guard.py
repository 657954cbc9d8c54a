"""Samples of the pages of visits, the watchdog and the figures: nothing enters, view-models in honest states leave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from console import views as v
from console import views_guard as vg
from console import views_held as vh
from console import views_visits as vv
from console.visiting import PARTS, Step
from kaimen.vocabulary import Role


def pages(
    *, task: v.TaskView, home: v.HouseholdName, contacts: tuple[v.Contact, ...]
) -> dict[str, tuple[str, Callable[[], object], dict[str, Any]]]:
    """Return the samples by name, made of the street's own people."""
    now = task.due_at
    typed = {"place": "inside", **dict.fromkeys(PARTS, "well"), "need": "urgent", "second_person": "李敏"}
    visit = vv.VisitPage(task, home, v.Form(), (now - timedelta(hours=1),), "/tasks/31")
    wrong = replace(
        visit, form=v.Form(typed, {"need_note": "urgent_needs_note", "health": "form_incomplete"})
    )
    done = (
        vv.StepDone("family_phoned", now - timedelta(minutes=20), "陈伟", "女儿", "没有钥匙"),
        vv.StepDone("key_handed_out", now - timedelta(minutes=5), "陈伟", "警号 0123"),
    )
    entry = vv.EntryPage(
        task, home, v.Form(), "neighbours_asked", tuple(step.value for step in Step), done, True,
        "文昌花园 3 栋 1 单元 1201", contacts, "/tasks/31",
    )  # fmt: skip
    refused = replace(entry, form=v.Form({"step": "entered"}, {"": "entry_not_yet"}))
    results = vv.ResultsPage(
        (
            vv.DoorResult(task, v.Form({"outcome": "well"}, {"witness": "witness_is_missing"})),
            vv.DoorResult(replace(task, id=32), v.Form()),
        ),
        3,
    )
    finding = vg.FindingRow("数据库没有应答", "检查数据库进程、磁盘空间和网络。", ("database",), now, None, 3)
    watchdog = vg.WatchdogPage(
        (finding,), (replace(finding, ended_at=now),), now, False, True, True, now, now
    )
    figures = vg.FigureRow(now, 104, 4.3, 1, 2, 1, 5, 19, 80, 240.0, 900.0, None, 12, 11)
    called = vg.CallRow("2026-1121-001", home, "王秀英", "13800000000", now, contacts)
    photos = vv.PhotosPage(
        visit.task, visit.household,
        (
            vv.PhotoRow(4, "/tasks/1/photos/4", visit.task.due_at, "张建国"),
            vv.PhotoRow(5, "/tasks/1/photos/5", visit.task.due_at, "张建国"),
        ),
        True, v.Form({}, {"photo": "photo_no_jpeg"}), 3, ("visit", "call_back", "emergency"),
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
        "visit-results-none": ("visit_results.html", lambda: vv.ResultsPage(()), {"current": "tasks"}),
        "watchdog": ("watchdog.html", lambda: watchdog, admin),
        "watchdog-never": (
            "watchdog.html",
            lambda: vg.WatchdogPage((), (), None, True, False, False, None, None),
            {**admin, "unreached": True, "watchdog_silent": True},
        ),
        "call-list": (
            "call_list.html",
            lambda: vg.CallListPage((called,), (vg.Colleague("陈伟", "grid_worker", "138"),), now, "李敏", 2),
            {},
        ),
        "call-list-none": ("call_list.html", lambda: vg.CallListPage((), (), now, "李敏"), {}),
        "held": (
            "held.html",
            lambda: vh.HeldPage(
                now,
                "restored",
                now - timedelta(hours=9),
                2,
                (
                    vh.HeldRow(7, "260301-001", "webhook", now, True),
                    vh.HeldRow(8, "", "sms_aliyun", now, False),
                ),
                True,
                None,
                "/admin/held?after=8",
            ),
            {**admin, "outbox_held": True},
        ),
        "held-none": ("held.html", lambda: vh.HeldPage(None, "", None, 0, (), False, None, None), admin),
        "figures": (
            "figures.html",
            lambda: vg.FiguresPage(
                "day", (figures,) * 31, "文昌花园", (("w", "文昌花园"), ("b", "滨河苑")), "w"
            ),
            admin,
        ),
    }
