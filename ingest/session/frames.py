"""Bytes as they came from the broker enter; where in them each PUBLISH lies leaves. Compiled, pure.

Only what is plainly sound is taken: QoS 0 or 1, a topic, a packet id where there must be one. All else, from the
broker's answers to packets that break the protocol, is left to the MQTT client, which knows what to say to it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ingest.detector.compiled import compiled

#: Columns of a found frame: first byte, topic from and to, packet id (0 at QoS 0), payload from and to.
WORDS = 6
PUBLISH = 3
#: A length has at most four bytes, of seven bits each.
LENGTH_BITS = 28
#: Beginnings of packets that cannot go on: no length ends there.
BROKEN = -1


@compiled
def scan(data: NDArray[np.uint8], start: int, stop: int, found: NDArray[np.int64]) -> tuple[int, int, int]:
    """Find the PUBLISH packets that stand one behind the other from ``start`` on; write them to ``found`` (n, WORDS).

    Returns how many were found, where the first byte after them is, and the size of the packet that begins there and
    was not taken: it is whole (and not for us) or its rest is yet to come. 0: too little is here to say; ``BROKEN``:
    it is no packet.
    """
    count = 0
    at = start
    while count < found.shape[0]:
        after = at + 1
        length = 0
        shift = 0
        ended = False
        while after < stop and shift < LENGTH_BITS:
            digit = int(np.int64(data[after]))
            length |= (digit & 127) << shift
            shift += 7
            after += 1
            if digit < 128:
                ended = True
                break
        if not ended:
            return count, at, BROKEN if shift == LENGTH_BITS else 0
        end = after + length
        if end > stop:
            return count, at, end - at
        first = int(np.int64(data[at]))
        qos = first >> 1 & 3
        head = 4 if qos else 2
        if first >> 4 != PUBLISH or qos > 1 or length < head:
            return count, at, end - at
        topic_from = after + 2
        topic_to = topic_from + int(np.int64(data[after]) << 8 | np.int64(data[after + 1]))
        payload_from = topic_to + head - 2
        if topic_to == topic_from or payload_from > end:
            return count, at, end - at
        packet_id = 0
        if qos:
            packet_id = int(np.int64(data[topic_to]) << 8 | np.int64(data[topic_to + 1]))
            if packet_id == 0:
                return count, at, end - at
        found[count, 0] = first
        found[count, 1] = topic_from
        found[count, 2] = topic_to
        found[count, 3] = packet_id
        found[count, 4] = payload_from
        found[count, 5] = end
        count += 1
        at = end
    return count, at, 0
