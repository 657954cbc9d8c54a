"""What the page of a voice for one home shows: frozen view-models, filled by the page, read by its template."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from console.views.registry import TEMPLATES

if TYPE_CHECKING:
    from console.views.parts import Form, HouseholdName


@dataclass(frozen=True, slots=True)
class VoiceSound:
    """One recording of the reader's own: where it is heard, how long it plays, who speaks how."""

    url: str
    seconds: float
    spoken_by: str
    dialect: str
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class VoiceRow:
    """One sentence of the telephone: its words, and the reader's draft and kept recording of it."""

    segment: str
    text: str
    draft: VoiceSound | None = None
    kept: VoiceSound | None = None


@dataclass(frozen=True, slots=True)
class VoicePage:
    """``base`` is the page's own address; ``back_url`` where it was come from; ``languages`` as (word, address)."""

    household: HouseholdName
    base: str
    back_url: str
    language: str
    languages: tuple[tuple[str, str], ...]
    rows: tuple[VoiceRow, ...]
    form: Form
    seconds_max: int


TEMPLATES["voice.html"] = (VoicePage, "/family")
