"""Access tokens of platforms: a way to fetch one enters, the token in force leaves; fetched again before it ends.

A token lives in the process alone and is forgotten when the platform says that it no longer holds.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

#: A token is renewed so long before its end, for a request that is on its way.
MARGIN_S = 300


@dataclass(slots=True)
class AccessToken:
    """One platform's token; ``fetch`` returns it and the seconds it lives, or raises DeliveryError."""

    fetch: Callable[[], tuple[str, int]]
    _token: str = ""
    _until_s: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, now_s: int) -> str:
        """Return a token that holds at ``now_s`` (wall time)."""
        with self._lock:
            if not self._token or now_s >= self._until_s:
                self._token, lives_s = self.fetch()
                self._until_s = now_s + max(0, lives_s - MARGIN_S)
            return self._token

    def forget(self, token: str) -> None:
        """Drop a token the platform no longer takes, unless another one is in its place already."""
        with self._lock:
            if self._token == token:
                self._token = ""
