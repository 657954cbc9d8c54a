"""The JSON API: a bearer token or a session enters, the same scopes as the pages hold, JSON leaves.

Shapes are a stable contract (``models``): fields are added, never renamed. Each part stands in a file of its own.
"""

from __future__ import annotations

from console.api import case_acts, cases, households, live, own, quarantine, why

#: What is asked most often stands first: routes are tried in their order.
ROUTERS = tuple(part.router for part in (cases, live, households, own, case_acts, quarantine, why))
