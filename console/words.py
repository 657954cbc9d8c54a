"""What a reader reads: catalogue ids, instants and durations enter, text in the reader's language and zone leaves.

The catalogues are gettext files with plain ids (``locale/zh.po``, ``locale/en.po``); they are read once per
process, nothing compiled is kept. A word that no catalogue has is shown as its id: a page with one odd word is
better than no page, and a test keeps it from happening.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date as Day  # noqa: N812 - Words has a method of that name
from datetime import datetime, timedelta
from enum import Enum
from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo

from babel.messages.pofile import read_po

from console.views.parts import Phrase
from kaimen.policy import DAY_MS, HOUR_MS, MINUTE_MS

LANGUAGES = ("zh", "en")

#: Values whose word is looked up below a prefix of the catalogue: ``{role}`` is said as ``role.<value>``.
_LOOKED_UP = {
    "ground": "duty.ground",
    "signal": "signal",
    "grade": "grade",
    "stage": "stage",
    "role": "role",
    "to_role": "role",
    "to": "role",
    "outcome": "outcome",
    "contacted": "contacted",
    "kind": "task",
    "task": "task",
    "reason": "reason",
    "step": "step",
    "cause": "cause",
    "channel": "channel",
    "entry_step": "entry_step",
    "place": "visit_place",
    **dict.fromkeys(("health", "economy", "safety", "need"), "finding"),
}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_WEEKDAYS_EN = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_WEEKDAYS_ZH = ("周一", "周二", "周三", "周四", "周五", "周六", "周日")
#: Local hours at which a part of the day ends, with its catalogue id.
_DAY_PARTS = ((6, "night"), (9, "early"), (12, "morning"), (14, "noon"), (18, "afternoon"), (24, "evening"))
_RELATIONS = {
    "妈妈": "mother",
    "母亲": "mother",
    "爸爸": "father",
    "父亲": "father",
    "奶奶": "grandmother",
    "外婆": "grandmother",
    "姥姥": "grandmother",
    "爷爷": "grandfather",
    "外公": "grandfather",
    "姥爷": "grandfather",
    **dict.fromkeys(("岳母", "丈母娘", "婆婆"), "mother_in_law"),
    **dict.fromkeys(("岳父", "丈人", "公公"), "father_in_law"),
    **dict.fromkeys(("姨母", "姨妈", "阿姨", "姑姑", "姑妈", "婶婶", "舅妈", "伯母"), "aunt"),
    **dict.fromkeys(("叔叔", "伯伯", "舅舅", "姑父", "姨父"), "uncle"),
    "女儿": "daughter",
    "儿子": "son",
    "儿媳": "daughter_in_law",
    "女婿": "son_in_law",
    **dict.fromkeys(("孙女", "外孙女"), "granddaughter"),
    **dict.fromkeys(("孙子", "外孙"), "grandson"),
    **dict.fromkeys(("侄女", "外甥女"), "niece"),
    **dict.fromkeys(("侄子", "外甥"), "nephew"),
    **dict.fromkeys(("姐姐", "妹妹"), "sister"),
    **dict.fromkeys(("哥哥", "弟弟"), "brother"),
    "邻居": "neighbour",
    "家人": "somebody",  # where nobody wrote down who she is
}
_PLACEHOLDER = re.compile(r"\{(\w+)\}")

Catalogue = Mapping[str, tuple[str, ...]]


@cache
def load_catalogue(language: str) -> Catalogue:
    """Every message of a language by its id: one form, or one per plural (one, other)."""
    path = files("console") / "locale" / f"{language}.po"
    with path.open("rb") as source:
        catalogue = read_po(source, locale=language)
    found: dict[str, tuple[str, ...]] = {}
    for message in catalogue:
        if message.id:
            name = message.id if isinstance(message.id, str) else message.id[0]
            text = message.string or ""
            found[name] = (text,) if isinstance(text, str) else tuple(text)
    return found


def load_words(language: str, zone: str, now: datetime) -> Words:
    """The words of one page: an unknown language is read as Chinese."""
    return Words(language if language in LANGUAGES else "zh", ZoneInfo(zone), now)


@dataclass(frozen=True, slots=True)
class Words:
    """One reader's language and zone at one instant."""

    language: str
    zone: ZoneInfo
    now: datetime

    # --- Messages ---------------------------------------------------------------------------------------------

    def say(self, word: str, /, **values: object) -> str:
        """The catalogue's text for ``word`` with its ``{values}`` put into words."""
        forms = load_catalogue(self.language).get(word)
        return self._fill(forms[0], values) if forms else word

    def count(self, word: str, number: int, /, **values: object) -> str:
        """The catalogue's text for ``number`` of something; ``{n}`` is the number."""
        forms = load_catalogue(self.language).get(word)
        if not forms:
            return word
        return self._fill(forms[0 if number == 1 else -1], {"n": f"{number:,}", **values})

    def has(self, word: str) -> bool:
        return word in load_catalogue(self.language)

    def phrase(self, phrase: Phrase) -> str:
        """A phrase as rows store it: entries of a case are written without their prefix."""
        entry = f"entry.{phrase.word}"
        return self.say(entry if self.has(entry) else phrase.word, **phrase.args)

    def named(self, prefix: str, value: object) -> str:
        """The word for a value below a prefix; a value the catalogue does not know is shown as it is."""
        plain = str(value.value if isinstance(value, Enum) else value)
        forms = load_catalogue(self.language).get(f"{prefix}.{plain}")
        return forms[0] if forms else plain

    def _fill(self, text: str, values: Mapping[str, object]) -> str:
        if "{" not in text:
            return text
        return _PLACEHOLDER.sub(lambda found: self._value(found[1], values.get(found[1], "")), text)

    def _value(self, name: str, value: object) -> str:
        if value is None:
            return ""
        if isinstance(value, Phrase):
            return self.phrase(value)
        if name.endswith("_ms") and isinstance(value, int | float):
            return self.duration(int(value))
        if isinstance(value, str) and name.endswith(("at", "until")) and _is_instant(value):
            return self.date_time(datetime.fromisoformat(value))
        if isinstance(value, datetime):
            return self.date_time(value)
        if name in _LOOKED_UP:
            return self.named(_LOOKED_UP[name], value)
        return str(value)

    # --- Instants ---------------------------------------------------------------------------------------------

    def local(self, at: datetime) -> datetime:
        return at.astimezone(self.zone)

    def today(self) -> Day:
        return self.local(self.now).date()

    def date(self, at: datetime | Day) -> str:
        """11 月 18 日, 18 Nov; with the year where it is another."""
        day = self.local(at).date() if isinstance(at, datetime) else at
        other_year = day.year != self.today().year
        if self.language == "zh":
            return (f"{day.year} 年 " if other_year else "") + f"{day.month} 月 {day.day} 日"
        return f"{day.day} {_MONTHS[day.month - 1]}" + (f" {day.year}" if other_year else "")

    def weekday(self, day: Day) -> str:
        return (_WEEKDAYS_ZH if self.language == "zh" else _WEEKDAYS_EN)[day.weekday()]

    def time(self, at: datetime) -> str:
        return f"{self.local(at):%H:%M}"

    def hours(self, from_at: datetime, to_at: datetime) -> str:
        """19:00–24:00; a span from one midnight to the next is a whole day."""
        begin, end = self.time(from_at), self.time(to_at)
        if begin == end == "00:00":
            return self.say("duty.all_day")
        return f"{begin}–{'24:00' if end == '00:00' else end}"

    def clock(self, at: datetime) -> str:
        return f"{self.local(at):%H:%M:%S}"

    def date_time(self, at: datetime) -> str:
        """05:18 today, otherwise 11 月 18 日 05:18 or 18 Nov 05:18."""
        if self.local(at).date() == self.today():
            return self.time(at)
        return self.full(at)

    def full(self, at: datetime) -> str:
        """Date and time, also today."""
        return f"{self.date(at)} {self.time(at)}"

    def field_value(self, at: datetime) -> str:
        """As ``<input type=datetime-local>`` wants it."""
        return f"{self.local(at):%Y-%m-%dT%H:%M}"

    def day_part(self, at: datetime) -> str:
        """今天上午, yesterday evening; older: the date alone. No minutes: they need the elder's consent."""
        local = self.local(at)
        part = next(name for until, name in _DAY_PARTS if local.hour < until)
        days = (self.today() - local.date()).days
        if days in (0, 1):
            return self.say(f"day_part.{('today', 'yesterday')[days]}.{part}")
        return self.say("day_part.on", date=self.date(at))

    # --- Durations --------------------------------------------------------------------------------------------

    def duration(self, length_ms: int) -> str:
        """2 天 3 小时, 3 小时 12 分, 12 分; the two greatest units, cut off, never rounded up."""
        days, rest = divmod(max(0, length_ms), DAY_MS)
        hours, rest = divmod(rest, HOUR_MS)
        minutes = rest // MINUTE_MS
        if days:
            return self._units(("d", days), ("h", hours)) if hours else self._units(("d", days))
        if hours:
            return self._units(("h", hours), ("min", minutes)) if minutes else self._units(("h", hours))
        return self._units(("min", minutes)) if minutes else self.say("duration.moment")

    def since(self, at: datetime) -> str:
        return self.duration(self._milliseconds(self.now - at))

    def left_ms(self, due_at: datetime) -> int:
        """Milliseconds until it is due; negative when it is late."""
        return self._milliseconds(due_at - self.now)

    @staticmethod
    def _milliseconds(span: timedelta) -> int:
        return round(span.total_seconds() * 1000)

    def _units(self, *pairs: tuple[str, int]) -> str:
        return " ".join(self.say(f"duration.{unit}", n=number) for unit, number in pairs)

    # --- People -----------------------------------------------------------------------------------------------

    def relation(self, relation: str) -> str:
        """What the family calls her, as it was written down; the usual words are put into English.

        Chinese keeps 外婆 and 奶奶, 姨母 and 姑姑 apart, so a Chinese reader is given the family's own word.
        """
        if self.language == "zh" and relation in _RELATIONS:
            return relation
        known = _RELATIONS.get(relation, relation)
        return self.named("relation", known) if self.has(f"relation.{known}") else relation

    def place(self, place: str) -> str:
        """A place as devices name it, 5-1 or 5-1-1201, said out loud; any other name as it is."""
        parts = place.split("-")
        if len(parts) not in (2, 3) or not all(part.isdecimal() for part in parts):
            return place
        if len(parts) == 2:
            return self.say("place.unit", building=parts[0], unit=parts[1])
        return self.say("place.full", building=parts[0], unit=parts[1], room=parts[2])

    def zone_name(self, zone: str) -> str:
        """A time zone by its best known place; one without a word by its own name."""
        return (
            self.named("zone", zone.replace("/", "_")) if self.has(f"zone.{zone.replace('/', '_')}") else zone
        )

    def number(self, value: int | float) -> str:
        return f"{value:,}"


def _is_instant(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
