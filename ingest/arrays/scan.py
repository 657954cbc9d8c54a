"""The bytes of one array of events enter; its columns leave, or the word that it is not of the plain kind. Compiled, pure.

Plain is what every batching edge sends: one boot, numbers without a gap, synchronised clock, ASCII words without
escapes, no unknown field and none twice. Anything else, right or wrong, is left to ``kaimen.wire``, which knows every
case: this scanner may refuse what is sound, but never takes what ``kaimen.wire`` would read otherwise.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ingest.detector.compiled import compiled
from ingest.detector.packed import SANE_MAX

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]

#: Rows of the numbers: sequence, instant, uptime, counter (-1: none), receipt by whoever took it first (-1: none).
SEQ, TS, UP, OPENS, RX = range(5)
NUMBERS = 5
#: Rows of the marks: sent from storage; which of the array's combinations of words.
HIST, WORDS_NO = range(2)
MARKS = 2
#: What the array is not, if it is not plain.
NOT_PLAIN = -1
#: Combinations of words in one array, the bytes they may take, and the words of each.
COMBINATIONS_MAX = 64
COMBINATION_BYTES_MAX = 32 * 1024
WORDS = 7
BOOT_LENGTH = 16


def _number_of(key: str) -> int:
    return int.from_bytes(key.encode(), "big")


_V, _BOOT, _SEQ, _TS, _UP, _RX, _CLK, _HIST, _OPENS = (
    _number_of(key) for key in ("v", "boot", "seq", "ts", "up", "rx", "clk", "hist", "opens")
)
#: The words in the order in which they are stored.
_TYPE, _STATE, _DIR, _METHOD, _CRED, _REASON, _DOOR = (
    _number_of(key) for key in ("type", "state", "dir", "method", "cred", "reason", "door")
)
_NTP = _number_of("ntp")
_KEY_MAX = max(_METHOD, _REASON)
_NULL, _TRUE, _FALSE = _number_of("null"), _number_of("true"), _number_of("fals")
#: Bits of what must stand in every event.
_MUST = 0b11_1111_1
_SPACE, _QUOTE, _COMMA, _COLON, _ESCAPE = 32, 34, 44, 58, 92
_OPENING_ARRAY, _CLOSING_ARRAY, _OPENING_OBJECT, _CLOSING_OBJECT = 91, 93, 123, 125
_ZERO, _NINE = 48, 57


@compiled
def _past_space(data: Bytes, at: int, end: int) -> int:
    while at < end and (data[at] == 32 or data[at] == 10 or data[at] == 13 or data[at] == 9):
        at += 1
    return at


@compiled
def scan_array(
    data: Bytes, numbers: Ints, marks: NDArray[np.int32], boot: Bytes, tails: Bytes, tail_to: Ints
) -> int:
    """Read an array of events; return how many there are, ``NOT_PLAIN`` where somebody else must read it.

    Parameters
    ----------
    data
        Shape (B,): the payload.
    numbers, marks
        Shapes (NUMBERS, N) and (MARKS, N): written, a column an event; N is the most events there may be.
    boot
        Shape (BOOT_LENGTH,): written, the boot of all of them.
    tails, tail_to
        Shapes (COMBINATION_BYTES_MAX,) and (COMBINATIONS_MAX + 1,): written, the words of each combination one behind
        the other, each with its length before it in four bytes as PostgreSQL's binary form has it (-1: none), and where
        each combination begins; the last ends where the next would begin.
    """
    end = data.shape[0]
    at = _past_space(data, 0, end)
    if at == end or data[at] != _OPENING_ARRAY:
        return NOT_PLAIN
    at += 1
    count = 0
    combinations = 0
    tail_to[0] = 0
    first_of = np.zeros(WORDS, np.int64)
    length_of = np.zeros(WORDS, np.int64)
    known_first = np.zeros((COMBINATIONS_MAX, WORDS), np.int64)
    known_length = np.zeros((COMBINATIONS_MAX, WORDS), np.int64)
    while True:
        at = _past_space(data, at, end)
        if at == end or data[at] != _OPENING_OBJECT or count == numbers.shape[1]:
            return NOT_PLAIN
        at += 1
        seen = 0
        numbers[OPENS, count] = -1
        numbers[RX, count] = -1
        marks[HIST, count] = 0
        for word in range(WORDS):
            length_of[word] = -1
        while True:
            at = _past_space(data, at, end)
            if at == end or data[at] != _QUOTE:
                return NOT_PLAIN
            at += 1
            key = np.int64(0)
            while at < end and data[at] != _QUOTE and data[at] > _SPACE and key <= _KEY_MAX:
                key = key << 8 | np.int64(data[at])
                at += 1
            if at >= end or data[at] != _QUOTE:
                return NOT_PLAIN
            at = _past_space(data, at + 1, end)
            if at == end or data[at] != _COLON:
                return NOT_PLAIN
            at = _past_space(data, at + 1, end)
            # What a key is: the bit it must not have been seen under, and the row or word its value goes to.
            number = -1
            word = -1
            bit = -1
            if key == _SEQ:
                number, bit = SEQ, 0
            elif key == _TS:
                number, bit = TS, 1
            elif key == _UP:
                number, bit = UP, 2
            elif key == _TYPE:
                word, bit = 0, 3
            elif key == _V:
                bit = 4
            elif key == _BOOT:
                bit = 5
            elif key == _CLK:
                bit = 6
            elif key == _OPENS:
                number, bit = OPENS, 7
            elif key == _RX:
                number, bit = RX, 8
            elif key == _HIST:
                bit = 9
            elif key == _STATE:
                word, bit = 1, 10
            elif key == _DIR:
                word, bit = 2, 11
            elif key == _METHOD:
                word, bit = 3, 12
            elif key == _CRED:
                word, bit = 4, 13
            elif key == _REASON:
                word, bit = 5, 14
            elif key == _DOOR:
                word, bit = 6, 15
            else:
                return NOT_PLAIN
            if seen >> bit & 1:
                return NOT_PLAIN
            seen |= 1 << bit
            begins = np.int64(0)
            if at + 4 < end:  # no object ends with a word of four letters
                for place in range(4):
                    begins = begins << 8 | np.int64(data[at + place])
            if begins == _NULL:
                if bit <= 6:
                    return NOT_PLAIN
                at += 4
            elif number >= 0:
                value = np.int64(0)
                from_at = at
                while at < end and data[at] >= _ZERO and data[at] <= _NINE:
                    value = value * 10 + (np.int64(data[at]) - _ZERO)
                    if value >= SANE_MAX:
                        return NOT_PLAIN
                    at += 1
                if at == from_at or (data[from_at] == _ZERO and at - from_at > 1):
                    return NOT_PLAIN
                numbers[number, count] = value
            elif bit == 4:
                if data[at] != _ZERO + 1:
                    return NOT_PLAIN
                at += 1
            elif bit == 9:
                if begins == _TRUE:
                    marks[HIST, count] = 1
                    at += 4
                elif begins == _FALSE and data[at + 4] == 101:
                    at += 5
                else:
                    return NOT_PLAIN
            else:
                if data[at] != _QUOTE:
                    return NOT_PLAIN
                at += 1
                from_at = at
                while at < end and data[at] != _QUOTE:
                    if data[at] < 32 or data[at] > 126 or data[at] == _ESCAPE:
                        return NOT_PLAIN
                    at += 1
                if at == end:
                    return NOT_PLAIN
                length = at - from_at
                at += 1
                if word >= 0:
                    # Type, state, direction and method are short; credential, reason and door may be longer.
                    if length > (64 if word < 4 else 256) or (word == 0 and length == 0):
                        return NOT_PLAIN
                    first_of[word] = from_at
                    length_of[word] = length
                elif bit == 6:
                    if (
                        length != 3
                        or data[from_at] != 110
                        or data[from_at + 1] != 116
                        or data[from_at + 2] != 112
                    ):
                        return NOT_PLAIN
                else:
                    if length != BOOT_LENGTH:
                        return NOT_PLAIN
                    for place in range(BOOT_LENGTH):
                        digit = data[from_at + place]
                        if count == 0:
                            if not (48 <= digit <= 57 or 97 <= digit <= 102):
                                return NOT_PLAIN
                            boot[place] = digit
                        elif boot[place] != digit:
                            return NOT_PLAIN
            at = _past_space(data, at, end)
            if at == end:
                return NOT_PLAIN
            if data[at] == _COMMA:
                at += 1
                continue
            if data[at] == _CLOSING_OBJECT:
                at += 1
                break
            return NOT_PLAIN
        if seen & _MUST != _MUST or numbers[SEQ, count] < 1:
            return NOT_PLAIN
        if count > 0 and numbers[SEQ, count] != numbers[SEQ, count - 1] + 1:
            return NOT_PLAIN
        found = -1
        for known in range(combinations - 1, -1, -1):
            same = True
            for word in range(WORDS):
                length = length_of[word]
                if known_length[known, word] != length:
                    same = False
                    break
                here, there = first_of[word], known_first[known, word]
                for place in range(length):
                    if data[here + place] != data[there + place]:
                        same = False
                        break
                if not same:
                    break
            if same:
                found = known
                break
        if found < 0:
            if combinations == COMBINATIONS_MAX:
                return NOT_PLAIN
            to = tail_to[combinations]
            for word in range(WORDS):
                length = length_of[word]
                known_first[combinations, word] = first_of[word]
                known_length[combinations, word] = length
                if to + 4 + max(length, 0) > COMBINATION_BYTES_MAX:
                    return NOT_PLAIN
                for place in range(4):
                    tails[to + place] = np.uint8(length >> (24 - 8 * place) & 255)
                to += 4
                for place in range(length):
                    tails[to + place] = data[first_of[word] + place]
                if length > 0:
                    to += length
            found = combinations
            combinations += 1
            tail_to[combinations] = to
        marks[WORDS_NO, count] = found
        count += 1
        at = _past_space(data, at, end)
        if at == end:
            return NOT_PLAIN
        if data[at] == _COMMA:
            at += 1
            continue
        if data[at] == _CLOSING_ARRAY:
            at = _past_space(data, at + 1, end)
            # How many combinations there are is told by where the last one ends.
            for known in range(combinations + 1, COMBINATIONS_MAX + 1):
                tail_to[known] = -1
            return count if at == end else NOT_PLAIN
        return NOT_PLAIN
