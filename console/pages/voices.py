"""A voice the elder knows for the telephone: a recording enters by form, a draft to listen to and what is kept leave.

The desk and the elder's family have the same page. A browser with a microphone records on it; every other one sends a
WAV file. Each person hears and removes her own recordings alone. A blocked relative is answered as ever, and his voice
is heard by nobody.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, File, Form, Path, Query, UploadFile
from starlette.responses import Response

from alerts.voice.audio import BYTES_MAX, SECONDS_MAX, SoundError
from alerts.voice.home_voices import (
    DIALECT_LENGTH_MAX,
    HOME_SEGMENTS,
    Place,
    Recorded,
    end,
    is_segment,
    keep,
    load_own,
    load_sound,
    save_draft,
)
from alerts.voice.people import WORDS_LENGTH_MAX
from alerts.voice.wording import language_of, text_of
from console.loaders.households import LoadedHousehold
from console.pages import family
from console.pages.household import Guard as DeskGuard
from console.pages.household import HouseholdId, load_one
from console.scope import Section
from console.seat import CheckedForm, Seat, not_here
from console.views.parts import Form as FormView
from console.views.voices import VoicePage, VoiceRow, VoiceSound
from kaimen.database import Connection
from kaimen.vocabulary import Role

router = APIRouter()
FamilyGuard = family.Guard
Language = Annotated[str, Query(max_length=5)]
Segment = Annotated[str, Path(max_length=40)]
Which = Annotated[str, Path(pattern="^(draft|kept)$")]
Act = Annotated[str, Path(pattern="^(keep|end)$")]
Word = Annotated[str, Form(max_length=300)]
Sound = Annotated[UploadFile | None, File()]


def _base(seat: Seat, household_id: str) -> str:
    place = "family" if seat.viewer.role is Role.FAMILY else "households"
    return f"/{place}/{household_id}/voice"


def _load(connection: Connection, seat: Seat, household_id: str) -> LoadedHousehold:
    if seat.viewer.role is Role.FAMILY:
        return family.load(connection, seat, household_id)
    return load_one(connection, seat.reader(connection), household_id)


def _place(seat: Seat, household_id: str, language: str) -> Place:
    return Place(household_id, language_of(language), seat.viewer.user_id)


# --- the page ----------------------------------------------------------------------------------------------------


@router.get("/households/{household_id}/voice")
def desk_page(seat: DeskGuard, household_id: HouseholdId, language: Language = "zh") -> Response:
    return _page(seat, household_id, language)


@router.get("/family/{household_id}/voice")
def family_page(seat: FamilyGuard, household_id: HouseholdId, language: Language = "zh") -> Response:
    return _page(seat, household_id, language)


def _page(seat: Seat, household_id: str, language: str) -> Response:
    with seat.transaction() as connection:
        return _answer(connection, seat, household_id, language)


def _answer(
    connection: Connection,
    seat: Seat,
    household_id: str,
    language: str,
    *,
    form: FormView | None = None,
    status: int = 200,
) -> Response:
    found = _load(connection, seat, household_id)
    place, base = _place(seat, household_id, language), _base(seat, household_id)
    own = load_own(connection, place)

    def sound_of(segment: str, which: str) -> VoiceSound | None:
        one = next((item for item in own if (item.segment, item.kept) == (segment, which == "kept")), None)
        return None if one is None else _view(one, f"{base}/{segment}/{which}.wav?language={place.language}")

    family_page = seat.viewer.role is Role.FAMILY
    page = VoicePage(
        household=found.name,
        base=base,
        back_url="/family" if family_page else f"/households/{household_id}",
        language=place.language,
        languages=(("zh", f"{base}?language=zh"), ("en", f"{base}?language=en")),
        rows=tuple(
            VoiceRow(
                segment,
                text_of(segment, language_of(place.language)),
                sound_of(segment, "draft"),
                sound_of(segment, "kept"),
            )
            for segment in HOME_SEGMENTS
        ),
        form=form or FormView({"segment": HOME_SEGMENTS[0]}),
        seconds_max=int(SECONDS_MAX),
    )
    response = seat.answer(
        connection, "voice.html", page, section=Section.FAMILY if family_page else Section.HOUSEHOLDS,
        status=status, path=base, live=False,
    )  # fmt: skip
    # The one page that may ask for the microphone.
    response.headers["Permissions-Policy"] = (
        "camera=(), geolocation=(), microphone=(self), payment=(), usb=()"
    )
    return response


def _view(one: Recorded, url: str) -> VoiceSound:
    return VoiceSound(url, one.seconds, one.spoken_by, one.dialect, one.recorded_at)


# --- recording ----------------------------------------------------------------------------------------------------


@router.post("/households/{household_id}/voice", dependencies=[CheckedForm])
def desk_record(
    seat: DeskGuard,
    household_id: HouseholdId,
    segment: Word = "",
    language: Word = "zh",
    spoken_by: Word = "",
    dialect: Word = "",
    agreed: Word = "",
    sound: Sound = None,
) -> Response:
    return _record(seat, household_id, segment, language, spoken_by, dialect, agreed, sound)


@router.post("/family/{household_id}/voice", dependencies=[CheckedForm])
def family_record(
    seat: FamilyGuard,
    household_id: HouseholdId,
    segment: Word = "",
    language: Word = "zh",
    spoken_by: Word = "",
    dialect: Word = "",
    agreed: Word = "",
    sound: Sound = None,
) -> Response:
    return _record(seat, household_id, segment, language, spoken_by, dialect, agreed, sound)


def _record(
    seat: Seat,
    household_id: str,
    segment: str,
    language: str,
    spoken_by: str,
    dialect: str,
    agreed: str,
    sound: UploadFile | None,
) -> Response:
    """Take a recording as a draft; what is wrong with it stands beside its field."""
    values = {"segment": segment, "spoken_by": spoken_by, "dialect": dialect, "agreed": agreed}
    speaker, way = " ".join(spoken_by.split()), " ".join(dialect.split())
    data = b"" if sound is None else sound.file.read(BYTES_MAX + 1)
    with seat.transaction() as connection:
        _load(connection, seat, household_id)
        place = _place(seat, household_id, language)
        errors = {}
        if not is_segment(segment, place.language):
            errors["segment"] = "required"
        if not speaker or len(speaker) > WORDS_LENGTH_MAX or not speaker.isprintable():
            errors["spoken_by"] = "voice_speaker_missing"
        if len(way) > DIALECT_LENGTH_MAX or not way.isprintable():
            errors["dialect"] = "voice_dialect_long"
        if agreed != "yes":
            errors["agreed"] = "voice_not_agreed"
        if not data:
            errors["sound"] = "sound_missing"
        if not errors:
            try:
                save_draft(
                    connection, place, segment, sound=data, spoken_by=speaker, dialect=way, now=seat.now
                )
            except SoundError as error:
                errors["sound"] = str(error)
        if errors:
            form = FormView(values, errors)
            return _answer(connection, seat, household_id, language, form=form, status=422)
        _note(connection, seat, household_id, "voice_drafted", segment)
    return seat.go(f"{_base(seat, household_id)}?language={place.language}", "notice.voice_drafted")


@router.post("/households/{household_id}/voice/{segment}/{act}", dependencies=[CheckedForm])
def desk_decide(
    seat: DeskGuard, household_id: HouseholdId, segment: Segment, act: Act, language: Word = "zh"
) -> Response:
    return _decide(seat, household_id, segment, act, language)


@router.post("/family/{household_id}/voice/{segment}/{act}", dependencies=[CheckedForm])
def family_decide(
    seat: FamilyGuard, household_id: HouseholdId, segment: Segment, act: Act, language: Word = "zh"
) -> Response:
    return _decide(seat, household_id, segment, act, language)


def _decide(seat: Seat, household_id: str, segment: str, act: str, language: str) -> Response:
    """Keep what was listened to, or remove one's own recording of a sentence."""
    with seat.transaction() as connection:
        _load(connection, seat, household_id)
        place = _place(seat, household_id, language)
        done = (
            keep(connection, place, segment, seat.now) if act == "keep" else end(connection, place, segment)
        )
        if not done:
            raise not_here()
        _note(connection, seat, household_id, "voice_kept" if act == "keep" else "voice_ended", segment)
    notice = "notice.voice_kept" if act == "keep" else "notice.voice_ended"
    return seat.go(f"{_base(seat, household_id)}?language={place.language}", notice)


@router.get("/households/{household_id}/voice/{segment}/{which}.wav")
def desk_sound(
    seat: DeskGuard, household_id: HouseholdId, segment: Segment, which: Which, language: Language = "zh"
) -> Response:
    return _sound(seat, household_id, segment, which, language)


@router.get("/family/{household_id}/voice/{segment}/{which}.wav")
def family_sound(
    seat: FamilyGuard, household_id: HouseholdId, segment: Segment, which: Which, language: Language = "zh"
) -> Response:
    return _sound(seat, household_id, segment, which, language)


def _sound(seat: Seat, household_id: str, segment: str, which: str, language: str) -> Response:
    with seat.transaction() as connection:
        _load(connection, seat, household_id)
        place = _place(seat, household_id, language)
        data = load_sound(connection, place, segment, kept=which == "kept")
    if data is None:
        raise not_here()
    return Response(data, media_type="audio/wav")


def _note(connection: Connection, seat: Seat, household_id: str, action: str, segment: str) -> None:
    seat.audit(
        connection,
        action,
        purpose="telephone",
        object_kind="household",
        object_id=household_id,
        segment=segment,
    )
