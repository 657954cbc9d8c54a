"""Which devices were heard enters, a bit each; those that fell silent leave, as households that are due. Compiled.

A door is heard every minute and may be silent for three. To look at each door as often as it may be silent would be
nearly all the work of a pulse, and nearly always for nothing. So a message that is not late sets a bit, and a pulse
looks at bits, 64 devices at a time. Each block of ``BLOCK`` devices has sets of them for its last few turns: the
youngest since ``SINCE``, and those of the turns before. Whoever has a bit in any was heard at the begin of the eldest
turn, less ``LATE_S``, or later, and cannot be silent before ``safe_until_s``. Only the others are looked at one by one,
by the instant they were last heard. A bit never says that a door is silent, only whom nobody needs to look at.

A household whose door is watched here is not due for its silence (``due_s``), only for what else may change. It is made
due, for the second at which the door falls silent, when it does.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ingest.detector.applying import ARMED, BASE, LAST, LAST_SHIFT
from ingest.detector.columns import Ints
from ingest.detector.compiled import compiled
from ingest.detector.kernel import list_due, lowest_of
from ingest.detector.state import BLOCK, NEVER_S, PLAIN, PULSE_MS, REGION, Levels, Seconds

Bits = NDArray[np.uint64]

#: Devices in a word of bits; words of a block.
WORD = 64
WORDS_OF_BLOCK = BLOCK // WORD
#: A message of before this many seconds before the newest pulse sets no bit.
LATE_S = 10
#: Turns that are kept beside the present one: a door that is heard in every third part of its time is in one of them,
#: even if it missed one of its words.
TURNS = 3
#: Bits of a device: of each turn, and whether it is watched.
BITS = TURNS + 2
#: Of a block (shape (B, SPANS), int64): when the present turn began, the one before, ... the eldest; when the next
#: begins; the least seconds that a watched device may be silent; and where the youngest of the turns before lies, from
#: which on they are in order and around: so the bits of a turn stay where they are until it is forgotten.
SINCE, ELDEST, TURN, LEAST, YOUNGEST, SPANS = 0, TURNS, TURNS + 1, TURNS + 2, TURNS + 3, TURNS + 4

#: Powers of two differ modulo 67: which one it is.
_BIT_BY_REMAINDER = np.zeros(67, np.int64)
for _bit in range(WORD):
    _BIT_BY_REMAINDER[(1 << _bit) % 67] = _bit
_ONE, _WORD, _WORDS_OF_BLOCK = np.uint64(1), np.uint64(WORD), np.uint64(WORDS_OF_BLOCK)
_REMAINDERS = np.uint64(67)


class Silence:
    """The bits of so many devices, and whose household each watched device decides about; one owner."""

    def __init__(self, devices: int) -> None:
        blocks = max(1, -(-devices // BLOCK))
        regions = -(-blocks // REGION)
        self.devices = devices
        #: The household a watched device decides about; -1 where none is watched here.
        self.household_of: NDArray[np.int32] = np.full(devices, -1, np.int32)
        self.heard: Bits = np.zeros(blocks * WORDS_OF_BLOCK, np.uint64)
        self.heard_before: Bits = np.zeros((TURNS, blocks * WORDS_OF_BLOCK), np.uint64)
        self.watched: Bits = np.zeros(blocks * WORDS_OF_BLOCK, np.uint64)
        self.spans: Ints = np.zeros((blocks, SPANS), np.int64)
        self.spans[:, LEAST] = NEVER_S
        #: The second before which no watched device of a block, or of a region of blocks, need be looked for.
        self.bound_s: Seconds = np.full(regions * REGION, NEVER_S, np.uint32)
        self.region_s: Seconds = np.full(regions, NEVER_S, np.uint32)

    def grow(self, devices: int) -> None:
        """Make room for more devices; what is there stays as it is."""
        blank = Silence(devices)
        blank.heard_before[:, : len(self.heard)] = self.heard_before
        self.heard_before = blank.heard_before
        for name in ("household_of", "heard", "watched", "spans", "bound_s"):
            before = getattr(self, name)
            getattr(blank, name)[: len(before)] = before
            setattr(self, name, getattr(blank, name))
        self.region_s, self.devices = self.bound_s.reshape(-1, REGION).min(axis=1), devices

    def make_bounds(self) -> None:
        """Make bounds where there are none, after a restart: the next pulse looks through all that is watched."""
        watched: NDArray[np.bool_] = self.watched.reshape(-1, WORDS_OF_BLOCK).max(axis=1) > 0
        self.bound_s = np.full(-(-len(watched) // REGION) * REGION, NEVER_S, np.uint32)
        self.bound_s[: len(watched)][watched] = 0
        self.region_s = self.bound_s.reshape(-1, REGION).min(axis=1)

    def forget_heard(self, device: int, from_s: int) -> None:
        """Take a device's bits back, whose last word now has another instant: it will be silent from ``from_s`` on."""
        word, keep = device // WORD, ~(_ONE << np.uint64(device % WORD))
        self.heard[word] &= keep
        self.heard_before[:, word] &= keep
        if self.household_of[device] < 0:
            return
        block = device // BLOCK
        self.bound_s[block] = min(int(self.bound_s[block]), from_s)
        self.region_s[block // REGION] = min(int(self.region_s[block // REGION]), from_s)

    def next_due_s(self) -> int:
        """Return the second before which nobody can be found silent."""
        return int(self.region_s.min())


@compiled
def lowest_bit(word: np.uint64) -> int:
    """Return the number of the lowest bit that is set; ``word`` must have one."""
    return int(_BIT_BY_REMAINDER[(word & (~word + _ONE)) % _REMAINDERS])


@compiled
def lower(number: int, at_s: int, bound_s: Seconds, region_s: Seconds) -> None:
    """Lower the bound of a block, and of its region."""
    if at_s < bound_s[number]:
        bound_s[number] = at_s
        if at_s < region_s[number // REGION]:
            region_s[number // REGION] = at_s


@compiled
def safe_until_s(since_s: int, least_s: int) -> int:
    """Return the first second at which a device that has a bit of a turn that began then may be silent."""
    return since_s - LATE_S + least_s + 1


@compiled
def round_s(least_s: int) -> int:
    """Return how long a turn is: all that are kept, and being late, fit into the least silence."""
    return max(1, (least_s - LATE_S) // (TURNS + 1))


@compiled
def next_turn_s(block: int, blocks: int, least_s: int, pulse_s: int) -> int:
    """Return when a block's next turn begins: at its own second in each round, so that not all do at once."""
    length_s = round_s(least_s)
    return pulse_s + 1 + (block * length_s // blocks - pulse_s - 1) % length_s


@compiled
def begin_anew(block: int, blocks: int, pulse_s: int, heard: Bits, heard_before: Bits, spans: Ints) -> None:
    """Forget all bits of a block and let its turns be as if they had been begun in time."""
    for word in range(block * WORDS_OF_BLOCK, (block + 1) * WORDS_OF_BLOCK):
        for turn in range(TURNS):
            heard_before[turn, word] = 0
        heard[word] = 0
    for turn in range(ELDEST + 1):
        spans[block, turn] = pulse_s - turn * round_s(spans[block, LEAST])
    spans[block, TURN] = next_turn_s(block, blocks, spans[block, LEAST], pulse_s)


@compiled
def silent_from_s(
    device: int,
    household: int,
    rows: Ints,
    supervision_ms: NDArray[np.int32],
    known_until_s: Seconds,
) -> int:
    """Return the first second at which a device is silent if nothing more is heard of it.

    What a device that is not armed said since, the plain rule wrote down as until when the household's door is known;
    whatever else it told has made the household due by itself.
    """
    until_s = int(((rows[device, LAST] >> LAST_SHIFT) + supervision_ms[device]) // PULSE_MS)
    if (rows[device, BASE] & ARMED) == 0:
        until_s = max(until_s, int(np.int64(known_until_s[household])))
    return until_s + 1


@compiled
def begin_watching(
    count: int,
    devices: Ints,
    households: Ints,
    pulse_s: int,
    known_until_s: Seconds,
    supervision_ms: NDArray[np.int32],
    household_of: NDArray[np.int32],
    heard: Bits,
    heard_before: Bits,
    watched: Bits,
    spans: Ints,
    bound_s: Seconds,
    region_s: Seconds,
) -> None:
    """Watch the first ``count`` of ``devices``, each for its household; ``known_until_s`` says until when if nothing
    more is heard. The loop is in here: to hand these arrays over for each device costs more than to watch it.
    """
    for position in range(count):
        device, household = np.uint64(devices[position]), np.uint64(households[position])
        word, bit = device // _WORD, _ONE << device % _WORD
        household_of[device] = households[position]
        watched[word] |= bit
        block = devices[position] // BLOCK
        least_s = supervision_ms[device] // PULSE_MS
        from_s = int(np.int64(known_until_s[household])) + 1
        if least_s < spans[block, LEAST]:
            spans[block, LEAST] = least_s
            from_s = pulse_s + 1
        else:
            safe = heard[word]
            for turn in range(TURNS):
                safe |= heard_before[turn, word]
            if (safe & bit) != 0:
                from_s = max(safe_until_s(spans[block, ELDEST], spans[block, LEAST]), pulse_s + 1)
        if from_s < bound_s[block]:
            lower(block, from_s, bound_s, region_s)


@compiled
def look_through(
    count: int,
    near: Ints,
    pulse_s: int,
    household_of: NDArray[np.int32],
    heard: Bits,
    heard_before: Bits,
    watched: Bits,
    spans: Ints,
    bound_s: Seconds,
    rows: Ints,
    supervision_ms: NDArray[np.int32],
    level: Levels,
    known_until_s: Seconds,
    due_s: Seconds,
    due_bound_s: Seconds,
    due_region_s: Seconds,
) -> None:
    """Make the households of silent devices due, of the first ``count`` blocks of ``near``; bound when each is next read.

    The loop over blocks is in here: to hand these arrays over for each costs more than to look through it.
    """
    blocks = spans.shape[0]
    for position in range(count):
        block = near[position]
        at = np.uint64(block)
        least_s = spans[at, LEAST]
        begins = pulse_s >= spans[at, TURN]
        if begins:
            for turn in range(ELDEST, 0, -1):
                spans[at, turn] = spans[at, turn - 1]
            spans[at, SINCE] = pulse_s
            spans[at, TURN] = next_turn_s(block, blocks, least_s, pulse_s)
            spans[at, YOUNGEST] = (spans[at, YOUNGEST] + TURNS - 1) % TURNS
        first, youngest = at * _WORDS_OF_BLOCK, spans[at, YOUNGEST]
        if begins:  # what was heard is of the youngest turn before now, in the place of the eldest
            for word in range(first, first + _WORDS_OF_BLOCK):
                heard_before[np.uint64(youngest), word] = heard[word]
                heard[word] = 0
        if safe_until_s(spans[at, ELDEST], least_s) <= pulse_s:
            # Nobody looked for too long: bits prove nothing any more. Whoever may have one gets it below.
            begin_anew(block, blocks, pulse_s, heard, heard_before, spans)
        next_s = spans[at, TURN]
        if safe_until_s(spans[at, ELDEST], least_s) > pulse_s:
            next_s = min(next_s, safe_until_s(spans[at, ELDEST], least_s))
        for word in range(first, first + _WORDS_OF_BLOCK):
            safe = heard[word]
            for turn in range(TURNS):
                safe |= heard_before[turn, word]
            missing = ~safe
            if missing != 0:  # else who is watched need not be read
                missing &= watched[word]
            while missing != 0:
                number = lowest_bit(missing)
                bit = _ONE << np.uint64(number)
                missing &= ~bit
                device = int(word) * WORD + number
                household = household_of[device]
                from_s = silent_from_s(device, household, rows, supervision_ms, known_until_s)
                if from_s > pulse_s:
                    turn = 1
                    while turn <= ELDEST and from_s < safe_until_s(spans[at, turn], least_s):
                        turn += 1
                    if turn <= ELDEST:
                        heard_before[(youngest + turn - 1) % TURNS, word] |= bit
                    else:
                        next_s = min(next_s, from_s)
                    continue
                watched[word] &= ~bit
                household_of[device] = -1
                # Of a household that is the plain rule's, that rule has said when it is due.
                if level[household] != PLAIN and from_s < due_s[household]:
                    due_s[household] = from_s
                    lower(household // BLOCK, from_s, due_bound_s, due_region_s)
        bound_s[at] = min(next_s, NEVER_S)


@compiled
def find_silent(
    pulse_s: int,
    household_of: NDArray[np.int32],
    heard: Bits,
    heard_before: Bits,
    watched: Bits,
    spans: Ints,
    bound_s: Seconds,
    region_s: Seconds,
    rows: Ints,
    supervision_ms: NDArray[np.int32],
    level: Levels,
    known_until_s: Seconds,
    due_s: Seconds,
    due_bound_s: Seconds,
    due_region_s: Seconds,
) -> None:
    """Make each household due whose watched device is silent at a pulse; only blocks whose bound has passed are read."""
    near = np.empty(REGION + 1, np.int64)
    for region in range(region_s.shape[0]):
        if region_s[region] > pulse_s:
            continue
        count = list_due(np.uint32(pulse_s), region, bound_s, near)
        look_through(
            count, near, pulse_s, household_of, heard, heard_before, watched, spans, bound_s, rows, supervision_ms,
            level, known_until_s, due_s, due_bound_s, due_region_s,
        )  # fmt: skip
        region_s[region] = lowest_of(bound_s[region * REGION : (region + 1) * REGION])
