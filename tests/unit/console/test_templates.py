"""Every template with every sample state in both languages: whole, escaped, without scripts inside, readable."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jinja2
import pytest

import console
from console.rendering import TemplatesOfNow, UnknownFragmentError, environment, render
from console.views import case as case_views
from console.views import family as family_views
from console.views import grounds as grounds_views
from console.views import household as household_views
from console.views import parts as view_parts
from console.views import police as police_views
from console.views import registry as registry_views
from console.views import sign_in as sign_in_views
from console.views.parts import Form, HouseholdName
from kaimen.vocabulary import CaseCause, CaseState, Stage, TaskKind
from tests.browser import samples

STYLE = Path(console.__file__).parent / "static" / "kaimen.css"
VOID = {"meta", "link", "input", "br", "hr", "img", "wbr"}
CASES = [(name, language) for name in samples.PAGES for language in ("zh", "en")]


class Page(HTMLParser):
    """Open tags, ids, labels and what must not be there."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.faults: list[str] = []
        self.ids: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)
        self.close()
        self.faults += [f"not closed: {tag}" for tag in self.stack]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if len(found) != len(attrs):
            self.faults.append(f"an attribute twice in {tag}")
        self.tags.append((tag, found))
        if found.get("id"):
            self.ids.append(str(found["id"]))
        if "style" in found or any(name.startswith("on") for name in found):
            self.faults.append(f"style or script in {tag}")
        if tag not in VOID and not self.get_starttag_text().endswith("/>"):  # type: ignore[union-attr]
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        text = self.get_starttag_text() or ""
        if text.endswith("/>") and text.startswith(f"<{tag}"):
            return
        if not self.stack or self.stack.pop() != tag:
            self.faults.append(f"closed out of order: {tag}")


@cache
def html_of(name: str, language: str = "zh", **more: object) -> str:
    template, page, changes = samples.PAGES[name]
    return render(template, shell=samples.shell(language, **{**changes, **more}), page=page())


def test_every_template_has_a_sample_of_its_own_class() -> None:
    shown = {template for template, _, _ in samples.PAGES.values()}
    assert shown == set(registry_views.TEMPLATES)
    for template, page, _ in samples.PAGES.values():
        assert isinstance(page(), registry_views.TEMPLATES[template][0])


@pytest.mark.parametrize(("name", "language"), CASES)
def test_every_page_is_whole_and_carries_no_style_or_script_of_its_own(name: str, language: str) -> None:
    page = Page(html_of(name, language))
    assert page.faults == []
    scripts = [attributes for tag, attributes in page.tags if tag == "script"]
    assert [s.get("src", "")[:15] for s in scripts] == ["/static/live.js"]  # type: ignore[index]


@pytest.mark.parametrize("name", list(samples.PAGES))
def test_every_page_has_a_language_one_main_and_a_heading(name: str) -> None:
    page = Page(html_of(name))
    assert ("html", {"lang": "zh-CN"}) in page.tags
    assert sum(tag == "main" for tag, _ in page.tags) == 1
    assert any(tag == "h1" for tag, _ in page.tags) or name in ("sign-in", "sign-in-wait", "family-nobody")


@pytest.mark.parametrize("name", list(samples.PAGES))
def test_every_post_form_carries_the_token_and_every_field_its_label(name: str) -> None:
    html = html_of(name)
    for form in re.findall(r'<form[^>]*method="post".*?</form>', html, flags=re.S):
        assert 'name="csrf" value="sample"' in form
    page = Page(html)
    labelled = {attributes.get("for") for tag, attributes in page.tags if tag == "label"}
    for tag, attributes in page.tags:
        if tag in ("select", "textarea") or (
            tag == "input" and attributes.get("type") not in ("hidden", "radio")
        ):
            assert attributes.get("id") in labelled


def test_errors_stand_next_to_their_field_and_are_tied_to_it() -> None:
    html = html_of("field-form")
    assert 'aria-describedby="error-witness"' in html
    assert 'id="error-witness">请写下确认的人' in html
    assert "在家看电视" in html


@pytest.mark.parametrize("name", list(samples.PAGES))
def test_the_demo_says_so_on_every_page(name: str) -> None:
    assert "strip-demo" in html_of(name, demo=True)
    assert "strip-demo" not in html_of(name, demo=False)


def test_a_fragment_is_exactly_the_part_of_the_whole_page() -> None:
    for name in (
        "alarms",
        "morning",
        "case",
        "family-day2",
        "demo",
        "police",
        "field",
        "devices",
        "tasks",
        "household",
    ):
        template, page, changes = samples.PAGES[name]
        shell = samples.shell(**changes)
        whole = render(template, shell=shell, page=page())
        for fragment in re.findall(r'data-fragment="(\w+)"', whole):
            part = render(template, shell=shell, page=page(), fragment=fragment)
            assert part.strip()
            assert part in whole


def test_an_unknown_fragment_is_refused() -> None:
    with pytest.raises(UnknownFragmentError):
        render("alarms.html", shell=samples.shell(), page=samples.ALARMS, fragment="nonsense")


@pytest.mark.parametrize("template", list(registry_views.TEMPLATES))
def test_what_people_typed_can_never_become_markup(template: str) -> None:
    evil = "<img src=x onerror=alert(1)>"
    name, page, changes = next(entry for entry in samples.PAGES.values() if entry[0] == template)
    html = render(
        name,
        shell=samples.shell(**{**changes, "community": evil, "user": evil, "path": f'"{evil}'}),
        page=page(),
    )
    assert "<img" not in html


def test_a_household_named_by_an_enemy_is_only_text() -> None:
    evil = HouseholdName("x", "<b>1</b>", "<i>", "<i>", "<i>", '"><script>1</script>', 80)
    row = samples.row(1, view_parts.Mark.HIGH, household=evil, line=samples.WANG_LINE, holder="<u>")
    html = render(
        "alarms.html",
        shell=samples.shell(),
        page=case_views.AlarmsPage(case_views.Tab.ALL, samples.TABS, (row,)),
    )
    assert "<script>1" not in html
    assert "<i>" not in html
    assert "<u>" not in html


def test_two_hundred_rows_are_all_there() -> None:
    assert html_of("alarms-many").count('data-row="case-') == 200


def test_a_case_has_one_primary_button_for_its_next_act() -> None:
    aside = render("alarms.html", shell=samples.shell(), page=samples.ALARMS, fragment="case")
    assert len(re.findall(r'class="(?:btn )?primary"', aside)) == 1


def shown(name: str, page: Any, language: str = "en") -> str:
    return render(samples.PAGES[name][0], shell=samples.shell(language), page=page)


def test_a_device_check_says_which_device_and_what_to_do_and_calls_no_ambulance() -> None:
    field = samples.PAGES["field-form"][1]()
    task = replace(field.task, kind=TaskKind.DEVICE_CHECK, household=None, technical=samples.TECHNICAL)
    html = shown("field-form", replace(field, task=task, line=None))
    assert "5 栋 4 单元" in html and "gateway gw-0504 silent for 3 h" in html
    assert "Go to the gateway" in html and "tel:120" not in html
    listed = shown("tasks", replace(samples.PAGES["tasks"][1](), open_tasks=(task,)))
    assert "5 栋 4 单元" in listed and "gateway gw-0504 silent for 3 h" in listed


def test_a_closed_case_asks_for_nothing() -> None:
    page = samples.PAGES["case"][1]()
    at = samples.NOW
    help_asked = replace(page.case.row, incident=grounds_views.Incident(CaseCause.SOS, at, "5-1-1201"))
    for state, asks in ((CaseState.NOTIFIED, True), (CaseState.CLOSED, False)):
        case = replace(page.case, row=replace(help_asked, state=state))
        assert ("Go there or telephone now" in shown("case", replace(page, case=case))) is asks


def test_a_door_that_is_heard_and_not_believed_is_not_called_silent() -> None:
    page = samples.PAGES["household"][1]()
    doubted = replace(page.line, known=False, doubted=True, stage=Stage.CALL)
    for language, false, true in (
        ("en", "cannot be heard now", "heard, but not believed"), ("zh", "现在听不到", "在线，但不可信"),
    ):  # fmt: skip
        grounds = replace(page.grounds, doubted=True)
        html = shown("household", replace(page, line=doubted, grounds=grounds), language)
        assert true in html and false not in html


def test_a_door_only_anothers_cards_open_is_said_with_what_to_do() -> None:
    page = samples.PAGES["household"][1]()
    assert "may be swapped" not in shown("household", page)
    crossed = (household_views.CrossedDoor("d-7", "3-1-1202", 3),)
    html = shown("household", replace(page, crossed=crossed))
    assert "Only cards of 3-1-1202 opened the door d-7, on 3 days" in html and "ask after both homes" in html


def test_days_of_a_look_back_are_written_as_each_reader_writes_them() -> None:
    for language, first in (("zh", "月"), ("en", " Nov")):
        page = samples.PAGES["look-back"][1]()
        html = shown("look-back", page, language)
        assert first in html and not [day for day in page.report["days"] if f">{day}<" in html]  # type: ignore[attr-defined]
        assert page.report["from"] not in html  # type: ignore[attr-defined]


def test_who_else_has_a_call_for_help_is_named_before_it_is_ended() -> None:
    field = samples.PAGES["field-form"][1]()
    held = case_views.Held(7, "李敏", samples.NOW - timedelta(minutes=3))
    html = shown("field-form", replace(field, task=replace(field.task, held=held)))
    assert "李敏 has had this for 3 min" in html
    assert re.search(r'name="instead_of" value="7" required', html)


def test_police_see_no_name_below_the_third_stage() -> None:
    page = police_views.PolicePage(samples.POLICE.buildings, ())
    html = render("police.html", shell=samples.shell(), page=page)
    assert "*" not in html.split("<main", 1)[1].split("</main", 1)[0]


def test_the_family_is_told_no_more_than_the_evidence_shows() -> None:
    def main(name: str) -> str:
        return html_of(name).replace("\u200b", "")

    assert "妈妈今天早上出入过。" in main("family-good")
    assert "爸爸家的门昨天下午开过。" in main("family-contact")
    assert "只知道门开过，不知道是谁。" in main("family-contact")
    assert "妈妈家的门两天没有开过。" in main("family-day2")
    assert "李敏已接手，由物业打电话；09:10 前应有结果。" in main("family-day2")
    assert "现在看不到妈妈家的门。" in main("family-unknown")
    assert "这不是“没开门”" in main("family-unknown")
    for name in ("family-good", "family-contact"):
        assert not re.search(r"\d\d:\d\d", re.search(r"<h1.*?</p>", main(name), flags=re.S)[0])  # type: ignore[index]


def test_a_daughter_of_two_homes_reads_once_when_she_is_told() -> None:
    page = family_views.FamilyPage((*samples.FAMILY_DAY2.homes, *samples.FAMILY_GOOD.homes))
    html = render("family.html", shell=samples.shell(), page=page)
    assert html.count('href="/my/channels"') == 1


def test_a_message_leads_each_recipient_to_her_own_first_page() -> None:
    # A helper would be refused on the family's page, and the refusal written down.
    assert '<a class="btn" href="/">' in html_of("seen-thanks")
    # A relative without an account has nowhere else to ask what it is about.
    assert "tel:057100000000" in html_of("seen-thanks")


def test_away_is_a_count_on_the_morning_list() -> None:
    html = html_of("morning")
    column = html.split("外出 / 住院", 1)[1].split("</section>", 1)[0]
    assert "7 人" in column
    assert "data-row" not in column


def test_templates_compile_without_undefined_names() -> None:
    for template in environment().list_templates():
        environment().get_template(template)


# --- Contrast ---------------------------------------------------------------------------------------------------


def _colours() -> tuple[dict[str, str], dict[str, str]]:
    blocks = re.findall(r":root \{(.*?)\}", STYLE.read_text(encoding="utf-8"), flags=re.S)
    light, dark = (dict(re.findall(r"--([\w-]+): (#\w+)", block)) for block in blocks[:2])
    return light, {**light, **dark}


def _luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * c for c in colour[1:])
    channels = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    lighter, darker = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


TEXT_PAIRS = [
    *((ink, ground) for ink in ("ink", "soft", "link", "high") for ground in ("bg", "panel", "sel")),
    *((ink, ground) for ink in ("ink", "soft") for ground in ("line2", "mid-bg")),
    *(("soft", ground) for ground in ("high-bg", "low-bg")),
    ("on-accent", "accent"),
    ("on-mark", "high"),
    ("on-mark", "mid"),
    ("on-mark", "low"),
    ("bg", "ink"),
]
SHAPE_PAIRS = [
    (shape, ground)
    for shape in ("high", "mid", "low", "faint", "accent", "sign", "live")
    for ground in ("bg", "panel")
]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("ink", "ground"), TEXT_PAIRS)
def test_text_stands_out_four_and_a_half_to_one(scheme: int, ink: str, ground: str) -> None:
    colours = _colours()[scheme]
    assert contrast(colours[ink], colours[ground]) >= 4.5


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("shape", "ground"), SHAPE_PAIRS)
def test_shapes_stand_out_three_to_one(scheme: int, shape: str, ground: str) -> None:
    colours = _colours()[scheme]
    assert contrast(colours[shape], colours[ground]) >= 3


def test_forms_remember_what_was_typed() -> None:
    form = Form({"name": "limin"}, {"password": "wrong_password"})
    html = render("sign_in.html", shell=samples.shell(), page=sign_in_views.SignInPage(form))
    assert 'value="limin"' in html
    assert "用户名或密码不对" in html


def test_a_template_exchanged_under_a_running_console_is_not_read(tmp_path: Path) -> None:
    template = tmp_path / "page.html"
    template.write_text("as it was", encoding="utf-8")
    made = jinja2.Environment(loader=TemplatesOfNow(tmp_path))
    template.write_text("of the next version", encoding="utf-8")
    assert made.get_template("page.html").render() == "as it was"
