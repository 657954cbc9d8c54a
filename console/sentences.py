"""Sentences about a household: a view-model and the reader's words enter, what a person would say leaves; pure.

No more is said than the evidence shows: a card is hers, a contact is only her door, a heartbeat says that the
device is well, and not known is said as not known.
"""

from __future__ import annotations

from console.views.case import CaseRow, NextStep
from console.views.family import FamilyHome, FamilyState
from console.views.grounds import SHARED_CAUSES, Grounds, Incident, Technical
from console.views.parts import DayLine, LifeSign, Presumed
from console.views.screens import ResidentPage
from console.words import Words
from kaimen.vocabulary import EvidenceKind, EvidenceSource, Grade, TaskKind

#: Watched and wall-clock age are both told where they differ by more than a tenth.
_DIFFERENCE_TOLD = 10


#: Words of her that reached us without anybody hearing or seeing her.
_UNHEARD = frozenset({"remote", EvidenceSource.BUTTON, EvidenceSource.ORDER})


#: After anything else her door may have been shut for longer than the days that are counted.
_OPENINGS = frozenset({EvidenceKind.OWN_CREDENTIAL, EvidenceKind.OPENING, EvidenceKind.OPENING_BY_COUNTER})


def ages_differ(line: DayLine) -> bool:
    return (line.elapsed_ms - line.inactive_ms) * _DIFFERENCE_TOLD > line.elapsed_ms


def line_caption(line: DayLine, words: Words) -> str:
    """How long, with both ages where time could not be seen."""
    if line.away_until is not None:
        return words.say("line.away")
    if not line.known and not line.stage:
        return words.say("line.not_known", elapsed_ms=line.elapsed_ms)
    if ages_differ(line):
        return words.say(
            "line.both",
            inactive_ms=line.inactive_ms,
            elapsed_ms=line.elapsed_ms,
            blind_ms=line.elapsed_ms - line.inactive_ms,
        )
    return words.say("line.plain", inactive_ms=line.inactive_ms)


def line_alternative(line: DayLine, words: Words) -> str:
    """The day line for whoever cannot see it: the same facts in the same order."""
    parts = [
        words.say(f"line.alt.evidence.{line.evidence_kind.value}", evidence_at=line.evidence_at),
        line_caption(line, words),
    ]
    if line.stage:
        parts.append(words.say("line.alt.stage", stage=int(line.stage)))
    if line.signs:
        parts.append(words.count("line.alt.signs", len(line.signs), at=line.signs[-1].at))
    if not line.known and line.stage:
        parts.append(words.say("line.alt.doubted" if line.doubted else "line.alt.unknown"))
    return words.say("join.sentence").join(parts)


def sign_words(sign: LifeSign, words: Words) -> str:
    return words.say(f"sign.{sign.kind.value}", part=words.day_part(sign.at), time=words.time(sign.at))


def presumed_words(grounds: Grounds, words: Words) -> str:
    return words.say(f"presumed.{grounds.presumed.value}")


def row_why(row: CaseRow, words: Words) -> str:
    """One line below the day line: how long, presumed where, what else was seen."""
    if row.technical is not None:
        return technical_why(row.technical, words)
    if row.incident is not None:
        return incident_why(row.incident, words)
    parts = [line_caption(row.line, words)] if row.line is not None else []
    if row.proposal_by == "deceased":
        parts.append(words.say("why.proposal.deceased"))
    elif row.proposal_at is not None:
        parts.append(words.say("why.proposal", at=row.proposal_at))
    if row.grounds is not None:
        parts += grounds_why(row.grounds, words)
    if row.grade is Grade.HIGH and not (
        row.grounds and row.grounds.last_sign is None and row.grounds.has_sensors
    ):
        parts.append(words.say("grade.high"))
    return words.say("join.dot").join(parts)


def incident_why(incident: Incident, words: Words) -> str:
    """One line of a case of another cause: what happened, since when, how often."""
    what = words.say(f"incident.why.{incident.word}")
    return words.say("join.dot").join((what, incident_when(incident, words)))


def incident_when(incident: Incident, words: Words) -> str:
    """When it was, and how often; of a silence, when it began."""
    if incident.quiet_since is not None:
        return words.say("incident.quiet_since", at=incident.quiet_since)
    if incident.count > 1:
        when = words.say("incident.count", n=incident.count, at=incident.at)
    else:
        when = words.say("incident.at", at=incident.at)
    if incident.battery_percent is not None:
        when = words.say("join.dot").join(
            (words.say("device.battery", percent=incident.battery_percent), when)
        )
    return words.say("join.dot").join((when, words.say("signal.late"))) if incident.late else when


def grounds_why(grounds: Grounds, words: Words) -> list[str]:
    parts = []
    if grounds.not_seen_since is not None:
        parts.append(words.say("why.not_seen", at=grounds.not_seen_since))
    if not grounds.hidden and (grounds.presumed is not Presumed.UNSURE or grounds.direction):
        parts.append(presumed_words(grounds, words))
    if grounds.last_sign is not None:
        parts.append(sign_words(grounds.last_sign, words))
    elif grounds.has_sensors:
        parts.append(words.say("why.no_sign"))
    return parts


def technical_words(technical: Technical, words: Words) -> str:
    """What the cause is and since when."""
    cause = "never_heard" if technical.never_heard else technical.cause
    return words.say(f"technical.{cause}", name=technical.cause_id, since_ms=-words.left_ms(technical.since))


def technical_why(technical: Technical, words: Words) -> str:
    if technical.cause == "quarantine":
        return words.say("technical.do.quarantine")
    parts = [words.say("why.unknown")]
    if technical.battery_low_since is not None:
        parts.append(words.say("device.battery_low", at=technical.battery_low_since))
    longest = technical.longest
    if longest is not None and longest.line is not None:
        parts.append(
            words.say("why.longest", label=longest.household.label, elapsed_ms=longest.line.elapsed_ms)
        )
    if technical.check_count:
        parts.append(words.count("why.checks", technical.check_count))
    return words.say("join.dot").join(parts)


def next_words(step: NextStep, words: Words) -> str:
    """Who has the next act, from when, by when; what is kept from whom."""
    act = step.act.value if step.act else "wait"
    parts = []
    if step.assignee and step.accepted_at:
        role = words.named("role", step.assignee_role) if step.assignee_role else ""
        word = "next.accepted" if role else "next.accepted_plain"
        parts.append(words.say(word, name=step.assignee, role=role, at=step.accepted_at))
    elif step.assignee:
        parts.append(words.say("next.assigned", name=step.assignee))
    elif step.act:
        parts.append(words.say("next.nobody"))
    if step.begun_at:
        parts.append(words.say("next.begun", at=step.begun_at))
    elif step.starts_at and words.left_ms(step.starts_at) > 0:
        parts.append(words.say("next.starts", at=step.starts_at))
    if step.due_at and not step.begun_at:
        parts.append(words.say(f"next.due.{act}", at=step.due_at))
    return words.say("join.space").join(parts)


def family_headline(home: FamilyHome, words: Words) -> str:
    """The one sentence of the family page."""
    who = words.relation(home.relation)
    if home.state is FamilyState.GOOD:
        return _good_headline(home, who, words)
    if home.state is FamilyState.AWAY and home.in_hospital:
        return _headline(words.say("family.hospital", who=who))
    word = _unheard_or(words, "family.unheard", "family", home)
    return _headline(words.say(word, who=who))


def _unheard_or(words: Words, unheard: str, plain: str, page: FamilyHome | ResidentPage) -> str:
    """Return the headline's word: after anything but an opening nobody says how long her door was shut."""
    word = f"{unheard}.{page.state.value}"
    rests_on_word = page.evidence_at is not None and page.evidence_kind not in _OPENINGS
    return word if rests_on_word and words.has(word) else f"{plain}.{page.state.value}"


def _good_headline(home: FamilyHome, who: str, words: Words) -> str:
    if home.evidence_at is None:
        return _headline(words.say("family.good.nothing", who=who))
    kind = home.evidence_kind.value
    said = f"family.good.said.{home.evidence_source}"
    key = said if home.evidence_kind is EvidenceKind.VERIFIED and words.has(said) else f"family.good.{kind}"
    return _headline(words.say(key, who=who, part=words.day_part(home.evidence_at)))


def family_ground(home: FamilyHome, words: Words) -> str:
    """Why we say so and who is on it, in one breath after the headline."""
    match home.state:
        case FamilyState.GOOD:
            return words.say("join.space").join(_good_ground(home, words))
        case FamilyState.HELP:
            return words.say("join.space").join(_help_ground(home, words))
        case FamilyState.UNKNOWN:
            return words.say("join.space").join(_unknown_ground(home, words))
        case FamilyState.AWAY:
            word = "family.ground.hospital" if home.in_hospital else "family.ground.away"
            return words.say(word, until=words.date(home.away_until or words.now))
        case FamilyState.UNWATCHED | FamilyState.UNTOLD | FamilyState.ENDED:
            return words.say(f"family.ground.{home.state.value}")
        case _:
            return words.say("join.space").join(_days_ground(home, words))


def _good_ground(home: FamilyHome, words: Words) -> list[str]:
    parts = []
    if home.evidence_kind is EvidenceKind.OWN_CREDENTIAL:
        parts.append(words.say(f"family.ground.card.{home.direction or 'none'}"))
    elif home.evidence_kind in (EvidenceKind.OPENING, EvidenceKind.OPENING_BY_COUNTER):
        parts.append(words.say("family.ground.contact"))
    elif home.evidence_source in _UNHEARD:
        parts.append(words.say("family.ground.unheard", who=words.relation(home.relation)))
    if home.exact_times and home.evidence_at is not None:
        parts.append(words.say("family.ground.exact", at=home.evidence_at))
    parts.append(words.say("family.ground.device"))
    return parts


def _help_ground(home: FamilyHome, words: Words) -> list[str]:
    at = home.help_at or words.now
    when = words.date_time(at) if home.exact_times else words.day_part(at)
    called = words.say("family.ground.help", when=when)
    return [
        called,
        *_tried(home, words),
        _on_it(home, words),
        words.say("family.ground.help_do", who=words.relation(home.relation)),
    ]


def _unknown_ground(home: FamilyHome, words: Words) -> list[str]:
    # Without a case of this home it is on nobody's list yet.
    on_it = _on_it(home, words) if home.act or home.look_form else words.say("family.ground.act.later")
    return [*_unseen(home, words), *_last(home, words), on_it]


def _unseen(home: FamilyHome, words: Words) -> list[str]:
    """Why her door cannot be seen now, and what else is not heard meanwhile."""
    since_ms = max(0, -words.left_ms(home.unknown_since)) if home.unknown_since else 0
    parts = [words.say(f"family.ground.unknown.{home.unknown_cause or 'device'}", since_ms=since_ms)]
    if home.unknown_cause in SHARED_CAUSES:
        parts.append(words.say("family.ground.mutes_help", who=words.relation(home.relation)))
    return parts


def _last(home: FamilyHome, words: Words) -> list[str]:
    """What was last heard of her, as what it was: a word of her is no opening, and nor is the begin of a watch."""
    if home.evidence_at is None:
        return []
    kind = home.evidence_kind.value
    if home.evidence_kind is EvidenceKind.VERIFIED and home.evidence_source in _UNHEARD:
        kind = "unheard"
    when = words.date_time(home.evidence_at) if home.exact_times else words.day_part(home.evidence_at)
    return [words.say(f"family.ground.last.{kind}", who=words.relation(home.relation), when=when)]


def _days_ground(home: FamilyHome, words: Words) -> list[str]:
    parts = _last(home, words)
    if not home.known:
        parts += [words.say("family.ground.blind"), *_unseen(home, words)]
    if home.presumed is not Presumed.UNSURE:
        parts.append(words.say(f"family.ground.presumed.{home.presumed.value}"))
    if home.last_sign is not None:
        sign = home.last_sign
        parts.append(words.say(f"family.ground.sign.{sign.kind.value}", part=words.day_part(sign.at)))
    parts += _tried(home, words)
    parts.append(_on_it(home, words))
    return parts


def _tried(home: FamilyHome, words: Words) -> list[str]:
    """What came of the newest call or visit, where it was nothing: she may have a key, or know more."""
    if home.tried is None:
        return []
    kind, at = home.tried
    who = words.relation(home.relation)
    return [words.say(f"family.ground.tried.{kind.value}", at=words.date_time(at), who=who)]


def _on_it(home: FamilyHome, words: Words) -> str:
    act = home.act.value if home.act else "none"
    if home.act is None or home.result_by is None:
        return words.say(f"family.ground.act.{act}")
    who = words.say("family.ground.worker", name=home.worker) if home.worker else ""
    by = words.date_time(home.result_by)
    if home.act is not TaskKind.CONFIRM_BACK:
        # Nobody is on the way before somebody has taken it, and no word is promised for an hour that is over.
        if home.result_by < words.now and home.begun_at is not None:
            return words.say("family.ground.late_at_door", worker=who, at=home.begun_at, by=by)
        if home.result_by < words.now:
            return words.say("family.ground.late", worker=who or words.say("family.ground.nobody"), by=by)
        if not home.worker:
            return words.say("family.ground.asked", by=by)
        if home.begun_at is not None:
            # Who took it may sit at the desk; only the door's own note says that somebody stood there.
            return words.say("family.ground.act.at_door", worker=who, at=home.begun_at, by=by)
    return words.say(f"family.ground.act.{act}", worker=who, by=by)


def resident_headline(page: ResidentPage, words: Words) -> str:
    """The one sentence of a resident's page: what was last seen of her, said to herself."""
    if page.state is not FamilyState.GOOD:
        return _headline(words.say(_unheard_or(words, "resident.unheard", "resident.say", page)))
    return _headline(words.say(f"resident.say.good.{_own_kind(page)}", part=_part(page, words)))


def _own_kind(page: ResidentPage) -> str:
    kind = page.evidence_kind
    if kind in (EvidenceKind.OWN_CREDENTIAL, EvidenceKind.VERIFIED):
        return kind.value
    return "opening" if kind in (EvidenceKind.OPENING, EvidenceKind.OPENING_BY_COUNTER) else "begun"


def _part(page: ResidentPage, words: Words) -> str:
    return words.day_part(page.evidence_at) if page.evidence_at is not None else ""


def resident_ground(page: ResidentPage, words: Words) -> str:
    """Whether her door can be seen now, and what happens next if nothing is heard of her."""
    if page.state is FamilyState.HELP:
        word = "resident.next.help_taken" if page.worker else "resident.next.help"
        return words.say(word, name=page.worker or "")
    if page.state is FamilyState.AWAY:
        return words.say("resident.ground.away", until=words.date(page.away_until or words.now))
    if page.known:
        seen = words.say("resident.ground.known")
    else:
        seen = words.say("resident.ground.doubted" if page.doubted else "resident.ground.unknown")
        if page.unknown_since is not None:
            seen = words.say("resident.ground.unknown_since", since_at=page.unknown_since)
    parts = [seen]
    if page.state is not FamilyState.GOOD and page.evidence_at is not None:
        parts.append(words.say(f"resident.ground.before.{_own_kind(page)}", part=_part(page, words)))
    if words.has(f"resident.next.{page.state.value}"):
        parts.append(words.say(f"resident.next.{page.state.value}"))
    return words.say("join.space").join(parts)


def _headline(sentence: str) -> str:
    """Begin with a capital; ``¦`` of the catalogue is where a line may end, which is invisible on the page."""
    return (sentence[:1].upper() + sentence[1:]).replace("¦", "\u200b")
