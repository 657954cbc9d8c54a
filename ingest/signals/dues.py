"""Homes and when each is to be looked at enter; whose time has come leaves, once. Pure."""

from __future__ import annotations

import heapq


class Dues:
    """One instant for each home, the last that was noted; in the queue it stands once, however often that moves."""

    def __init__(self) -> None:
        self._due_ms: dict[str, int] = {}
        self._queue: list[tuple[int, str]] = []
        #: When the home's place in the queue comes up: then it is seen whether its time has come.
        self._queued_ms: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._queue)

    def note(self, household_id: str, due_ms: int | None) -> None:
        """Note when a home is to be looked at; None: not at all."""
        if due_ms is None:
            self._due_ms.pop(household_id, None)
            return
        self._due_ms[household_id] = due_ms
        queued_ms = self._queued_ms.get(household_id)
        if queued_ms is None or due_ms < queued_ms:
            self._push(household_id, due_ms)

    def take(self, now_ms: int) -> list[str]:
        """Return the homes whose time has come, which none waits for any more."""
        found = []
        while self._queue and self._queue[0][0] <= now_ms:
            at_ms, household_id = heapq.heappop(self._queue)
            if self._queued_ms.get(household_id) != at_ms:
                continue  # it was wanted sooner since
            del self._queued_ms[household_id]
            due_ms = self._due_ms.get(household_id)
            if due_ms is None:
                continue
            if due_ms > now_ms:
                self._push(household_id, due_ms)
            else:
                del self._due_ms[household_id]
                found.append(household_id)
        return found

    def _push(self, household_id: str, due_ms: int) -> None:
        self._queued_ms[household_id] = due_ms
        heapq.heappush(self._queue, (due_ms, household_id))
