"""What a page shows, as frozen dataclasses: loaders fill them, templates read them; no words, no I/O, no clock.

A view-model carries facts (instants, stages, counts); the words are made of them by ``console.words`` and the
templates, in the reader's language. Names arrive already masked or in full, as the reader's scope allows.
``_at`` values are aware datetimes, ``_ms`` values milliseconds, URLs are paths of this site.

``TEMPLATES`` lists every template with the class of its ``page`` and the address it is meant for;
``console.rendering.render(template, shell=…, page=…, fragment=…)`` makes the HTML.

Forms (all POST, all with ``csrf``; a refused one is answered with the same page, ``Form.values`` as typed and
``Form.errors`` as ``{field: error word}`` below ``error.`` of the catalogues):

===================================  ==========================================================================
address                              fields
===================================  ==========================================================================
/sign-in                             name, password, next
/sign-out                            -
/sessions/{id}/end                   -
/admin/users/{name}/disable, enable  -
/language                            language (zh, en), next
/cases/{id}/claim, /release          -
/cases/{id}/note                     note
/cases/{id}/hold                     reason, until (local ``YYYY-MM-DDTHH:MM``)
/cases/{id}/hand-over                to_role, note
/cases/{id}/confirm-closing          confirmed (yes, no), note
/cases/{id}/reveal                   purpose
/tasks/{id}/begin                    -
/tasks/{id}/outcome                  outcome, contacted, witness, note, absence_until (local date-time)
/households/{id}/absences            reason, from, to (local date-times)
/households/{id}/absences/{n}/end    -
/households/{id}/presence            purpose
/family/{id}/spoke                   contacted (spoke, saw), witness
/family/{id}/away                    reason, from, to
/family/{id}/look                    note
/family/{id}/notices                 came_home, not_home (yes), by_time (``HH:MM``)
/police/look-up                      purpose, case_number, basis, door, building (several), unit, subject, from,
                                     to, reason, delay (local date-times)
/police/tickets/{id}/answer          answer (grant, refuse), reason, keep_delay (yes)
/police/tickets/{id}/review          review (justified, not_justified), reason, keep_delay (yes)
/police/tickets/{id}/withdraw        -
/police/tickets/{id}/export          -
/audit/{entry}/mark                  mark (justified, not_justified), reason
/quarantine/{id}/replay              -
/demo/clock                          act (pause, play, speed, next_crossing), speed
/demo/act                            act (open, shut, unplug, plug, kill_ingest, start_ingest), target
===================================  ==========================================================================

Live pages: ``shell.stream_url`` is an event stream (``text/event-stream``). Each event has an ``id`` and a name
(``cases``, ``states``, ``demo``, ``refetch``); its data is not read: the page asks again for its own fragments
(``?fragment=list``). An event ``alive`` every 15 s (scripts cannot see comment lines) shows that the line stands;
after the first one, 40 s without any greys the page. CSP needs no more
than ``default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action
'self'; base-uri 'none'; frame-ancestors 'none'``. Scripts are never needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from console.views_channels import ChannelsPage, ContactsPage, MyChannelsPage, SeenPage
from console.views_doors import HomeNews, PresenceView, RentalsPage, SignalsPage
from console.views_tickets import AuditPage, LookUpPage, TicketPage, TicketsPage, TicketView, TransparencyPage
from console.views_voices import VoicePage
from kaimen.vocabulary import (
    CaseCause,
    CaseState,
    Contacted,
    EvidenceKind,
    Grade,
    Outcome,
    QuarantineReason,
    Role,
    Stage,
    TaskKind,
    TaskState,
)

# --- Small parts -----------------------------------------------------------------------------------------------


class Mark(StrEnum):
    """Priority as shape, numeral and colour; unknown is hatched, away an outline, normal is grey."""

    HIGH = "high"
    MID = "mid"
    LOW = "low"
    UNKNOWN = "unknown"
    AWAY = "away"
    NORMAL = "normal"


MARK_BY_STAGE = {
    Stage.NORMAL: Mark.NORMAL,
    Stage.WARNING: Mark.LOW,
    Stage.CALL: Mark.MID,
    Stage.VISIT: Mark.HIGH,
}


_CALLING = (Mark.HIGH, Mark.MID, Mark.LOW, Mark.UNKNOWN)


class Presumed(StrEnum):
    IN = "in"
    OUT = "out"
    UNSURE = "unsure"


class SignKind(StrEnum):
    """Other signs of life; they grade, they never reset."""

    MOTION = "motion"
    WATER = "water"
    POWER = "power"
    CALL = "call"
    MEAL = "meal"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Phrase:
    """A catalogue word with its values, as ``case_entries`` stores them.

    Values are put into words by the end of their name: ``*_at`` an instant (datetime or ISO text), ``*_ms`` a
    duration, ``stage``, ``role``, ``outcome``, ``contacted``, ``kind``, ``reason`` the catalogue's word for it.
    """

    word: str
    args: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Span:
    """``[from_at, to_at)``."""

    from_at: datetime
    to_at: datetime


@dataclass(frozen=True, slots=True)
class LifeSign:
    at: datetime
    kind: SignKind = SignKind.OTHER


@dataclass(frozen=True, slots=True)
class DayLine:
    """The state of one household as the day line draws it; ``inactive_ms`` counts watched time only."""

    evidence_at: datetime
    now: datetime
    inactive_ms: int
    stage: Stage = Stage.NORMAL
    known: bool = True
    evidence_kind: EvidenceKind = EvidenceKind.OPENING
    blind: tuple[Span, ...] = ()
    signs: tuple[LifeSign, ...] = ()
    thresholds_ms: tuple[int, ...] = (86_400_000, 172_800_000, 259_200_000)
    away_until: datetime | None = None

    @property
    def elapsed_ms(self) -> int:
        return max(0, round((self.now - self.evidence_at).total_seconds() * 1000))

    @property
    def mark(self) -> Mark:
        if self.away_until is not None:
            return Mark.AWAY
        return MARK_BY_STAGE[self.stage] if self.known or self.stage else Mark.UNKNOWN


@dataclass(frozen=True, slots=True)
class HouseholdName:
    """Who and where, as this reader may know it; ``name`` is masked unless the scope allows more."""

    id: str
    label: str  # 3-1-1201
    building: str = ""
    unit: str = ""
    room: str = ""
    name: str = ""
    age: int | None = None
    lives_alone: bool = False
    grid: str = ""
    url: str | None = None  # None: the reader has no household page


@dataclass(frozen=True, slots=True)
class Act:
    """One thing a person can do now: a button (``post``) or a link. ``name`` is a word below ``act.``."""

    name: str
    url: str
    post: bool = False
    fields: tuple[tuple[str, str], ...] = ()
    key: str = ""  # keyboard: a, c


@dataclass(frozen=True, slots=True)
class Form:
    """What was typed and what was wrong with it; empty on first sight."""

    values: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Choice:
    value: str
    label: str


@dataclass(frozen=True, slots=True)
class Usual:
    """Her own rhythm over the last weeks, from watched time only."""

    openings_low: int
    openings_high: int
    longest_gap_ms: int


@dataclass(frozen=True, slots=True)
class Grounds:
    """Why we think so. ``has_sensors`` False means that the home has no interior sensor to ask."""

    direction: str | None = None  # in, out
    heard_at: datetime | None = None
    gap_count: int = 0
    blind_ms: int = 0
    presumed: Presumed = Presumed.UNSURE
    presumed_by: str = ""  # a Reason of ingest.presence, or not_judged
    has_sensors: bool = False
    last_sign: LifeSign | None = None
    usual: Usual | None = None
    away_until: datetime | None = None
    not_seen_since: datetime | None = None  # a check climbs in this case
    hidden: bool = False  # where she is presumed is told only after a reveal


@dataclass(frozen=True, slots=True)
class Technical:
    """A cause that folds many doors: ``cause`` as in ``outages``, or quarantine."""

    cause: str
    cause_id: str
    place: str
    since: datetime
    household_count: int
    check_count: int = 0  # people listed for a call or visit because of it
    longest: HouseholdLine | None = None  # the home not seen for the longest
    never_heard: bool = False  # its devices were put in and never spoke


@dataclass(frozen=True, slots=True)
class Incident:
    """What a case of another cause is about; ``place`` is the door's, "" where none is told."""

    cause: CaseCause
    at: datetime
    place: str = ""
    count: int = 1
    kind: str = ""  # the word of the newest signal
    silent: bool = False  # nothing of it is shown or said at that door


@dataclass(frozen=True, slots=True)
class CaseGrounds:
    """What was known beside the silence when the case's stage was reached; for sentences, never a threshold."""

    grade: Grade
    as_of: datetime
    sign_count: int = 0
    last_sign_at: datetime | None = None
    presumed: Presumed = Presumed.UNSURE
    presumed_by: str = ""
    usual_median_ms: int | None = None
    usual_p95_ms: int | None = None
    usual_days: int = 0
    door_open_since: datetime | None = None
    unlocked_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Beside:
    """Another open case of the same household or door."""

    number: str
    cause: CaseCause
    url: str
    holder: str | None = None


# --- The shell -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NavItem:
    """``name`` is a word below ``nav.``; ``count`` None shows nothing; ``daily`` stands in a narrow screen's bar."""

    name: str
    url: str
    count: int | None = None
    current: bool = False
    daily: bool = False


@dataclass(frozen=True, slots=True)
class NavGroup:
    """``name`` is a word below ``nav.``: service (服务), manage (管理), judge (研判); ``count`` sums its pages'."""

    name: str
    items: tuple[NavItem, ...]
    foldable: bool = False
    folded: bool = False  # where it is foldable
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Duty:
    name: str
    until: datetime
    alarms_this_hour: int


@dataclass(frozen=True, slots=True)
class Position:
    """One of the positions somebody holds; ``id`` empty: her first. One is active at a time."""

    id: str
    role: Role
    place: str = ""
    current: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """A community somebody may work for; ``calling`` counts its open cases of priority 2 and 3."""

    id: str
    name: str
    calling: int
    current: bool = False


@dataclass(frozen=True, slots=True)
class Shell:
    """What surrounds every page. ``now`` is community time, ``speed`` its pace, ``heard_at`` ingest's progress."""

    community: str
    language: str  # zh, en
    now: datetime
    csrf: str
    path: str  # this page with its query, for language switch and return
    zone: str = "Asia/Shanghai"
    user: str | None = None
    role: Role | None = None
    nav: tuple[NavGroup, ...] = ()
    demo: bool = False
    speed: float = 1.0  # 0: paused
    stream_url: str | None = None  # server-sent events; None: page is not live
    heard_at: datetime | None = None
    behind_ms: int = 0  # how far ingest's or alerts' turn is behind; over two minutes is said on every page
    duty: Duty | None = None
    notice: Phrase | None = None  # what the last act did, said once
    version: str = ""
    unreached: bool = False  # the watchdog found that no way out of the house works
    watchdog_silent: bool = False
    outbox_held: bool = False  # nothing leaves the house but what a person lets go
    places: tuple[Place, ...] = ()  # of one, and of those who choose none, nothing
    positions: tuple[Position, ...] = ()  # of one, and of those who choose none, nothing
    factor_due_at: datetime | None = None  # wall time until which she may work without a second factor


# --- Alarm console and case ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CaseRow:
    """One row of the alarm console: who, how long, why, what next, who has it, by when."""

    id: int
    number: str
    mark: Mark
    state: CaseState
    url: str  # selects it: /alarms?tab=…&case=…
    page_url: str  # /cases/{id}
    household: HouseholdName | None = None
    technical: Technical | None = None
    incident: Incident | None = None
    grade: Grade | None = None  # of inactivity alone
    line: DayLine | None = None
    grounds: Grounds | None = None
    act: TaskKind | None = None
    begun_at: datetime | None = None  # somebody stands at the door since then
    next_action: str = ""  # what happens at ``due_at`` where no task is open: list, hold_ends, …
    due_at: datetime | None = None
    holder: str | None = None
    holder_role: Role | None = None
    held_until: datetime | None = None
    held_reason: str | None = None
    proposal_at: datetime | None = None  # when the evidence was, or the word, that proposes closing
    proposal_by: str = ""  # evidence, deceased; empty: nothing is proposed
    closed_at: datetime | None = None
    outcome: Outcome | None = None
    unacknowledged: bool = False
    next_act: Act | None = None


class Tab(StrEnum):
    ALL = "all"
    UNCLAIMED = "unclaimed"
    WORKING = "working"
    HELD = "held"
    ON_TEST = "on_test"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class TabItem:
    tab: Tab
    url: str
    count: int


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """What happened; the same thing ``count`` times in a row is told once, since ``first_at``."""

    at: datetime
    phrase: Phrase
    who: str | None = None
    who_role: Role | None = None
    note: str | None = None
    count: int = 1
    first_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Contact:
    """Whom to ask, in order. ``relation`` is what the household calls them; ``phone`` only where allowed."""

    name: str
    role: str  # family, neighbour_watcher, stairwell_liaison, safety_guardian, grid_worker
    relation: str = ""
    phone: str | None = None
    phone_kept: bool = False  # there is a number, and it is not shown here


@dataclass(frozen=True, slots=True)
class TaskView:
    """One act asked of one role. ``form`` is there where this reader may record an outcome now."""

    id: int
    kind: TaskKind
    state: TaskState
    role: str
    due_at: datetime
    start_at: datetime | None = None
    household: HouseholdName | None = None
    case_number: str = ""
    mark: Mark = Mark.NORMAL
    url: str = ""
    assignee: str | None = None
    begun_at: datetime | None = None
    done_at: datetime | None = None
    done_by: str | None = None
    outcome: Outcome | None = None
    contacted: Contacted | None = None
    witness: str | None = None
    note: str | None = None
    outcomes: tuple[Outcome, ...] = ()
    form: Form | None = None


@dataclass(frozen=True, slots=True)
class NextStep:
    """The box with the ONE primary button."""

    act: TaskKind | None  # None: wait for the next instant (the case says which)
    due_at: datetime | None = None
    assignee: str | None = None
    assignee_role: Role | None = None
    accepted_at: datetime | None = None
    starts_at: datetime | None = None  # a call of the night starts in the morning
    primary: Act | None = None
    others: tuple[Act, ...] = ()
    begun_at: datetime | None = None  # the visitor stands at the door


@dataclass(frozen=True, slots=True)
class CaseView:
    """One case as the aside and the case page show it."""

    row: CaseRow
    opened_at: datetime
    policy_version: int
    next_step: NextStep | None = None
    timeline: tuple[TimelineEntry, ...] = ()  # newest first
    contacts: tuple[Contact, ...] = ()
    tasks: tuple[TaskView, ...] = ()
    chart: EvidenceChart | None = None
    households: tuple[HouseholdLine, ...] = ()  # technical: whom it stands for, longest unseen first
    known: CaseGrounds | None = None
    beside: tuple[Beside, ...] = ()
    note_form: Form | None = None
    hold_form: Form | None = None
    hand_over_form: Form | None = None
    hand_over_roles: tuple[str, ...] = ()
    confirm_form: Form | None = None  # proposal at VISIT: yes or no
    reveal_purposes: tuple[str, ...] = ()  # this reader may see the full name, once, for one of these
    reveal_form: Form = field(default_factory=Form)


@dataclass(frozen=True, slots=True)
class HouseholdLine:
    """A household in a list, with its day line."""

    household: HouseholdName
    line: DayLine | None
    grounds: Grounds | None = None
    case_url: str | None = None
    case_number: str | None = None
    holder: str | None = None


@dataclass(frozen=True, slots=True)
class AlarmsPage:
    """The alarm console. ``chosen`` says that the reader chose ``selected`` (on a phone it becomes the page)."""

    tab: Tab
    tabs: tuple[TabItem, ...]
    rows: tuple[CaseRow, ...]
    selected: CaseView | None = None
    chosen: bool = False
    more_url: str | None = None
    watched_count: int = 0
    last_pulse_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class CasePage:
    case: CaseView
    back_url: str = "/alarms"
    back_name: str = "alarms"  # a word below ``nav.``


# --- Household -------------------------------------------------------------------------------------------------


class OpeningKind(StrEnum):
    """How an opening was seen; the last two are not hers and reset nothing."""

    OWN_CREDENTIAL = "own_credential"
    FAMILY_CREDENTIAL = "family_credential"
    CONTACT = "contact"
    COUNTER = "counter"
    VERIFIED = "verified"
    STAFF = "staff"
    VISITOR = "visitor"


@dataclass(frozen=True, slots=True)
class Opening:
    at: datetime
    kind: OpeningKind
    direction: str | None = None
    door: str = ""
    received_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class StageMark:
    at: datetime
    stage: Stage


@dataclass(frozen=True, slots=True)
class EvidenceChart:
    """Fourteen local days of one household, the last one today; blind and away spans may cross midnight."""

    last_day: date
    now: datetime
    openings: tuple[Opening, ...] = ()
    signs: tuple[LifeSign, ...] = ()
    blind: tuple[Span, ...] = ()
    absences: tuple[Span, ...] = ()
    crossings: tuple[StageMark, ...] = ()
    watched_from: datetime | None = None
    day_count: int = 14


@dataclass(frozen=True, slots=True)
class AbsenceView:
    id: int
    from_at: datetime
    to_at: datetime
    declared_by: str
    declared_at: datetime
    reason: str | None = None  # travel, hospital, relatives, other; None: not this reader's
    revoked_at: datetime | None = None
    end_url: str | None = None
    renewed_at: datetime | None = None
    renew_url: str | None = None
    renew_form: Form = field(default_factory=Form)


@dataclass(frozen=True, slots=True)
class ConsentView:
    """``purpose``: watch, notify_family, share_with_police, exact_times, early_watch, visit_photo."""

    purpose: str
    given_by: str | None = None
    given_at: datetime | None = None
    withdrawn_at: datetime | None = None

    @property
    def standing(self) -> bool:
        return self.given_at is not None and self.withdrawn_at is None


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """A device as the list and the household page show it. ``kind`` as in ``devices``."""

    id: str
    kind: str
    model: str
    place: str
    known: bool
    heard_at: datetime | None
    supervision_ms: int
    gateway: str | None = None
    unknown_since: datetime | None = None
    cause: str | None = None
    battery_percent: int | None = None
    signal_dbm: int | None = None
    firmware: str | None = None
    unsent: int = 0
    lost: int = 0
    fault: bool = False
    clock: str | None = None  # ntp, rtc, none
    household_count: int = 0
    retired_at: datetime | None = None
    first_heard_at: datetime | None = None
    expected_at: datetime | None = None  # never heard: by when it should have been
    implausible: int = 0  # heartbeats that stand nowhere in time
    test_until: datetime | None = None  # on test: two people said so, and it ends by itself


@dataclass(frozen=True, slots=True)
class HouseholdPage:
    household: HouseholdName
    line: DayLine | None
    grounds: Grounds | None
    chart: EvidenceChart | None
    tenure: str = "owner"
    policy: str = "mandated"
    thresholds_ms: tuple[int, ...] = (86_400_000, 172_800_000, 259_200_000)
    watched_from: datetime | None = None
    hard_of_hearing: bool = False
    openings: tuple[Opening, ...] = ()  # newest first
    absences: tuple[AbsenceView, ...] = ()
    absence_form: Form | None = None
    source_form: Form | None = None  # a meal, an order, a pressed button
    consents: tuple[ConsentView, ...] = ()
    devices: tuple[DeviceRow, ...] = ()
    contacts: tuple[Contact, ...] = ()
    case_url: str | None = None
    case_number: str | None = None
    past_cases: tuple[CaseRow, ...] = ()
    log_url: str | None = None
    looked_url: str | None = None
    presence: PresenceView | None = None  # after a reveal alone
    presence_asked: bool = False
    presence_form: Form | None = None
    presence_purposes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KnownEvidence:
    """One piece of evidence as it was known: when, of which kind, from which device or whose word."""

    at: datetime
    kind: EvidenceKind
    device: str | None = None
    witness: str | None = None


@dataclass(frozen=True, slots=True)
class WhyPage:
    """Why all was thought well at ``at``, from what had arrived by then; ``at`` None: nothing is asked yet."""

    household: HouseholdName
    form: Form
    at: datetime | None = None
    watched: bool = False
    newest: KnownEvidence | None = None
    before: tuple[KnownEvidence, ...] = ()  # newest first
    inactive_ms: int = 0
    blind_ms: int = 0
    stage: int = 0
    known: bool = False
    watched_until: datetime | None = None
    absent_until: datetime | None = None
    forgotten: bool = False  # heartbeats of then are no longer kept


@dataclass(frozen=True, slots=True)
class HouseholdsPage:
    """The list of households; ``state`` filters by mark, ``query`` by label."""

    rows: tuple[HouseholdLine, ...]
    query: str = ""
    state: str = ""
    total: int = 0
    newer_url: str | None = None
    older_url: str | None = None


# --- Tasks, field --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TasksPage:
    open_tasks: tuple[TaskView, ...]
    done_tasks: tuple[TaskView, ...] = ()


@dataclass(frozen=True, slots=True)
class FieldPage:
    """One visit or call on a phone in a stairwell. ``address_words`` is what is said to 120."""

    task: TaskView
    household: HouseholdName
    call_name: str  # 王奶奶
    line: DayLine | None
    address_words: str
    hard_of_hearing: bool = False
    begin_url: str | None = None  # None: already at the door, or not a visit
    take_url: str | None = None  # None: she has it, or it begins at a door
    contacts: tuple[Contact, ...] = ()
    duty_phone: str | None = None
    back_url: str = "/tasks"


# --- Access log ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LogFilter:
    """As typed; ``from_text`` and ``to_text`` are local date-times of ``<input type=datetime-local>``."""

    door: str = ""
    building: str = ""
    unit: str = ""
    from_text: str = ""
    to_text: str = ""
    type: str = ""
    method: str = ""
    origin: str = ""  # live, replayed


@dataclass(frozen=True, slots=True)
class LogRow:
    """One door event; ``credential`` is a pseudonym, ``whose`` the class of its owner (resident, family, …)."""

    occurred_at: datetime
    received_at: datetime
    door: str
    type: str
    device_id: str
    household: HouseholdName | None = None
    state: str | None = None
    direction: str | None = None
    method: str | None = None
    whose: str | None = None
    credential: str | None = None
    reason: str | None = None
    replayed: bool = False
    late: bool = False
    clock: str = "ntp"


@dataclass(frozen=True, slots=True)
class AccessLogPage:
    filter: LogFilter
    rows: tuple[LogRow, ...]
    doors: tuple[Choice, ...] = ()
    buildings: tuple[Choice, ...] = ()
    units: tuple[Choice, ...] = ()
    types: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    errors: Mapping[str, str] = field(default_factory=dict)
    total: int | None = None
    newer_url: str | None = None
    older_url: str | None = None


# --- Devices and quarantine ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DevicesPage:
    rows: tuple[DeviceRow, ...]  # troubled first
    total: int = 0
    not_known_count: int = 0
    test_count: int = 0
    only: str = ""  # '', troubled
    newer_url: str | None = None
    older_url: str | None = None


@dataclass(frozen=True, slots=True)
class QuarantineRow:
    id: int
    received_at: datetime
    topic: str
    reason: QuarantineReason
    detail: str
    payload_bytes: int
    copies: int = 1
    device_id: str | None = None
    sample: str = ""  # the first characters, printable
    replayed_at: datetime | None = None
    replay_url: str | None = None
    answer_url: str | None = None
    answered_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class QuarantinePage:
    rows: tuple[QuarantineRow, ...]
    waiting: int = 0
    newer_url: str | None = None
    older_url: str | None = None


# --- Family ----------------------------------------------------------------------------------------------------


class FamilyState(StrEnum):
    GOOD = "good"
    DAY1 = "day1"
    DAY2 = "day2"
    DAY3 = "day3"
    UNKNOWN = "unknown"
    AWAY = "away"
    UNWATCHED = "unwatched"  # no consent, or not yet


@dataclass(frozen=True, slots=True)
class FamilyHome:
    """One elder for one family member: no more than the evidence and her consent allow."""

    household: HouseholdName
    relation: str  # as the family says it: 妈妈; words.relation puts the usual ones into English
    state: FamilyState
    line: DayLine | None = None  # None where exact times are not consented to
    evidence_at: datetime | None = None
    evidence_kind: EvidenceKind = EvidenceKind.OPENING
    direction: str | None = None
    exact_times: bool = False
    presumed: Presumed = Presumed.UNSURE
    last_sign: LifeSign | None = None
    worker: str | None = None  # who is on it
    act: TaskKind | None = None
    result_by: datetime | None = None
    unknown_cause: str | None = None  # own, broker, site, gateway, device
    unknown_since: datetime | None = None
    away_until: datetime | None = None
    phone: str | None = None
    spoke_form: Form | None = None
    away_form: Form | None = None
    look_form: Form | None = None
    asked_at: datetime | None = None  # the family asked for a look; it is on somebody's list
    looked: tuple[LookRow, ...] = ()
    back_url: str | None = None  # somebody opened although she is declared away: is she back?
    news: HomeNews | None = None
    notices_form: Form | None = None


@dataclass(frozen=True, slots=True)
class FamilyPage:
    homes: tuple[FamilyHome, ...]
    open_form: str = ""  # spoke, away, look: which form stands open after an error


# --- Police ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BuildingCount:
    """Before VISIT police see counts only."""

    building: str
    watched: int
    warning: int
    call: int
    visit: int
    unknown: int


@dataclass(frozen=True, slots=True)
class PolicePage:
    buildings: tuple[BuildingCount, ...]
    cases: tuple[CaseRow, ...]
    tickets: tuple[TicketView, ...] = ()


# --- Administration, trust, demo -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class UserRow:
    name: str
    display_name: str
    role: Role
    created_at: datetime
    seen_at: datetime | None = None
    disabled_at: datetime | None = None
    act: Act | None = None  # disable, enable


@dataclass(frozen=True, slots=True)
class ServiceRow:
    """``at`` is the community time up to which it has done its work."""

    name: str
    at: datetime | None
    turn: int
    behind_ms: int
    healthy: bool


@dataclass(frozen=True, slots=True)
class AdminPage:
    users: tuple[UserRow, ...]
    services: tuple[ServiceRow, ...]
    installation: str  # demo, production
    installed_at: datetime
    version: str
    storage: str  # plain, timescale, timescale_community
    quarantine_waiting: int = 0
    duty_gaps: int = 0
    audit_ok: bool | None = None
    audit_count: int = 0
    audit_checked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class LookRow:
    """Who looked at a person's data; ``purpose`` and ``action`` are words below ``audit.``."""

    at: datetime
    who: str
    role: str
    action: str
    purpose: str
    subject: str = ""


@dataclass(frozen=True, slots=True)
class LookedPage:
    rows: tuple[LookRow, ...]
    household: HouseholdName | None = None
    newer_url: str | None = None
    older_url: str | None = None


@dataclass(frozen=True, slots=True)
class Home:
    household_id: str
    label: str
    floor: int
    room: str
    mark: Mark
    door_open: bool = False
    kept_shut: bool = False
    url: str | None = None
    line: DayLine | None = None


@dataclass(frozen=True, slots=True)
class Unit:
    name: str
    homes: tuple[Home, ...]
    gateway_id: str | None = None
    gateway_known: bool = True


@dataclass(frozen=True, slots=True)
class Building:
    name: str
    units: tuple[Unit, ...]

    @property
    def marks(self) -> tuple[tuple[Mark, int], ...]:
        """How many homes carry each mark that calls for somebody; the gravest first."""
        found = [home.mark for unit in self.units for home in unit.homes]
        return tuple((mark, found.count(mark)) for mark in _CALLING if mark in found)


@dataclass(frozen=True, slots=True)
class DemoPage:
    """The clock and the street. ``selected`` is the home whose door is acted on (``/demo?home=…``)."""

    buildings: tuple[Building, ...]
    speed: float
    speeds: tuple[int, ...] = (1, 60, 720, 2880)
    paused: bool = False
    next_crossing_at: datetime | None = None
    next_crossing_label: str | None = None
    selected: Home | None = None
    ingest_running: bool = True
    acts: tuple[TimelineEntry, ...] = ()
    open_cases: int = 0
    users: tuple[DemoUser, ...] = ()


@dataclass(frozen=True, slots=True)
class DemoUser:
    name: str
    password: str
    role: Role


@dataclass(frozen=True, slots=True)
class SignInPage:
    form: Form
    next: str = "/"
    demo_users: tuple[DemoUser, ...] = ()
    wait_ms: int = 0  # until the next attempt is looked at
    outer_name: str = ""  # of an identity provider people may sign in with
    outer_subject: str = ""  # who somebody is there whom nobody tied here yet


@dataclass(frozen=True, slots=True)
class SessionRow:
    """One of the reader's own sign-ins; times are wall time. ``device`` and ``browser`` are names, not addresses."""

    id: str
    created_at: datetime
    seen_at: datetime
    device: str = ""
    browser: str = ""
    current: bool = False
    end_url: str | None = None


@dataclass(frozen=True, slots=True)
class SessionsPage:
    rows: tuple[SessionRow, ...]
    wall_now: datetime
    failures_before: int = 0  # how often the name failed between the last two sign-ins
    factor: bool = False
    codes_left: int = 0
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class ErrorPage:
    """``status`` 400, 401, 403, 404, 405, 409, 422, 429, 500, 503; ``word`` names the refusal (below ``error.``)."""

    status: int
    word: str | None = None
    request_id: str | None = None
    retry_url: str | None = None


#: template -> (class of ``page``, address). Fragments: blocks of the same template, asked for by ?fragment=name.
TEMPLATES: dict[str, tuple[type, str]] = {
    "sign_in.html": (SignInPage, "/sign-in"),
    "alarms.html": (AlarmsPage, "/alarms"),  # ?tab= ?case= ?after=; fragments: list, aside
    "case.html": (CasePage, "/cases/{id}"),  # fragment: case
    "tasks.html": (TasksPage, "/tasks"),  # fragment: list
    "field.html": (FieldPage, "/tasks/{id}"),  # fragment: task
    "households.html": (HouseholdsPage, "/households"),  # ?query= ?state= ?after=; fragment: list
    "household.html": (HouseholdPage, "/households/{id}"),  # fragment: household
    # ?door= ?building= ?unit= ?from= ?to= ?type= ?method= ?origin=
    "access_log.html": (AccessLogPage, "/access-log"),
    "signals.html": (SignalsPage, "/signals"),  # ?days=1, 7
    "rentals.html": (RentalsPage, "/rentals"),
    "devices.html": (DevicesPage, "/devices"),  # ?only=troubled; fragment: list
    "quarantine.html": (QuarantinePage, "/quarantine"),
    "family.html": (FamilyPage, "/family"),  # fragment: homes
    "looked.html": (LookedPage, "/looked"),  # ?household=
    "police.html": (PolicePage, "/police"),  # fragment: list
    "look_up.html": (LookUpPage, "/police/look-up"),  # ?ticket= ?place=
    "tickets.html": (TicketsPage, "/police/tickets"),
    "ticket.html": (TicketPage, "/police/tickets/{id}"),
    "audit.html": (AuditPage, "/audit"),
    "transparency.html": (TransparencyPage, "/transparency"),  # ?community=; nobody need be signed in
    "admin.html": (AdminPage, "/admin"),
    "sessions.html": (SessionsPage, "/sessions"),
    "channels.html": (ChannelsPage, "/admin/channels"),
    "my_channels.html": (MyChannelsPage, "/my/channels"),
    "voice.html": (VoicePage, "/family"),
    "contacts.html": (ContactsPage, "/households/{id}/contacts"),
    "seen.html": (SeenPage, "/m/{token}"),
    "demo.html": (DemoPage, "/demo"),  # ?home=; fragment: street
    "error.html": (ErrorPage, ""),
    "offline.html": (ErrorPage, "/offline"),
}
