"""The small signs of the bar at a narrow screen's lower edge: a page's name enters, SVG text leaves; pure.

Each says nothing that the word beside it does not say: readers of screens never hear of them.
"""

from __future__ import annotations

#: Strokes on a square of 24, by the page's word below ``nav.``.
_STROKES = {
    "alarms": "M6 17v-6a6 6 0 0 1 12 0v6M4 17h16M10 20.5h4",
    "morning": "M4 6h2M4 12h2M4 18h2M9.5 6H20M9.5 12H20M9.5 18H20",
    "tasks": "M5 4h14v16H5zM9 4V3h6v1M8.5 12.5l2.5 2.5 4.5-5",
    "desk_notes": "M4 5h16v11H10l-4 4v-4H4zM8 9h8M8 12.5h5",
    "duty": "M4 6h16v14H4zM4 10h16M8 3.5V6M16 3.5V6M8 14h3M13 14h3",
    "police": "M12 3l7 3v5c0 5-3 8-7 10-4-2-7-5-7-10V6zM12 8v7M8.5 11.5h7",
    "signals": "M6 21V4h9v17M4 21h16M12.5 12.5v.1M18 8c1.6 2 1.6 5 0 7",
    "rentals": "M14.5 9.5a4 4 0 1 0-3.6 4L13 15.5h2v2h2v2h3v-3l-5.6-5.6M10 9v.1",
    "look_back": "M4 5v5h5M4.6 10a8 8 0 1 1-.4 4M12 8v4.5l3 2",
    "look_up": "M11 4.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM16 16l4.5 4.5",
    "tickets": "M6 3h9l4 4v14H6zM9.5 11h6M9.5 14.5h6M9.5 18h3",
    "audit": "M4 6h9M4 11h6M4 16h5M15.5 9.5a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM18.5 16.5l2.5 3",
    "portfolio": "M4 20V9h7v11M11 20V4h9v16M3 20h18M7.5 13v.1M7.5 16.5v.1M15.5 8v.1M15.5 12v.1M15.5 16v.1",
    "committee": (
        "M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM3 20c0-4 2-6 5-6s5 2 5 6"
        "M16 12a2.5 2.5 0 1 0 0-5M16 14.5c3 0 5 2 5 5.5"
    ),
    "admin": (
        "M12 8.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7zM12 3v3M12 18v3M3 12h3M18 12h3"
        "M5.6 5.6l2.2 2.2M16.2 16.2l2.2 2.2M18.4 5.6l-2.2 2.2M7.8 16.2l-2.2 2.2"
    ),
    "second_person": "M3 13l4 4 6-7M11 15l2 2 8-9",
    "kiosks": "M6 3h12v13H6zM12 16v5M8 21h8M9.5 8h5M9.5 11.5h5",
    "figures": "M4 20h16M7 20v-6M12 20V9M17 20V5",
    "family": "M4 11l8-7 8 7M6 10v10h12V10M12 17s-3-2-3-4a1.6 1.6 0 0 1 3-.6 1.6 1.6 0 0 1 3 .6c0 2-3 4-3 4z",
    "resident": "M4 11l8-7 8 7M6 10v10h12V10M10 20v-6h4v6",
    "more": "M5 7h14M5 12h14M5 17h14",
}  # fmt: skip
_PLAIN = "M6 6h12v12H6z"


def icon(name: str) -> str:
    """Return the sign of a page, hidden from readers of screens."""
    path = _STROKES.get(name, _PLAIN)
    return (
        '<svg class="icon" viewBox="0 0 24 24" width="24" height="24" aria-hidden="true" focusable="false">'
        f'<path d="{path}"/></svg>'
    )
