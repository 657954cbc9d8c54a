"""Frames that were committed, by message id: if an acknowledgement got lost, the frame comes again and is known. No I/O."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from edge.link import Frame

COMMITTED_KEPT_MAX = 1_000


class CommittedFrames:
    """What was committed lately; ``marks`` is what a gateway before us kept of its last commit."""

    def __init__(self, marks: str = "") -> None:
        self._digests = _parse_marks(marks)

    def remember(self, frame: Frame) -> None:
        """Remember one committed frame; with QoS 0 none comes again."""
        if frame.qos == 0:
            return
        self._digests.pop(frame.message_id, None)
        self._digests[frame.message_id] = _digest(frame)
        if len(self._digests) > COMMITTED_KEPT_MAX:
            del self._digests[next(iter(self._digests))]

    def is_copy(self, frame: Frame) -> bool:
        """Say whether this very message was committed before.

        A message id that comes without the mark of a repetition was given to a new message, so what was
        remembered of it is forgotten: content alone proves nothing, sensors repeat themselves.
        """
        if not frame.again:
            self._digests.pop(frame.message_id, None)
            return False
        return self._digests.get(frame.message_id) == _digest(frame)


def format_marks(frames: Sequence[Frame]) -> str:
    """Write down the frames of one commit, to be kept with it."""
    return " ".join(f"{frame.message_id}:{_digest(frame)}" for frame in frames if frame.qos)


def _digest(frame: Frame) -> str:
    return hashlib.blake2b(frame.topic.encode() + b"\x00" + frame.payload, digest_size=12).hexdigest()


def _parse_marks(text: str) -> dict[int, str]:
    pairs = (word.partition(":") for word in text.split())
    return {int(number): digest for number, mark, digest in pairs if mark and number.isdigit()}
