"""What a channel's refusal means to whoever has to mend it: its technical text enters, a catalogue word leaves; pure."""

from __future__ import annotations

#: Beginnings of the texts in delivery errors, the longer before the shorter, each with its word below ``refusal.``.
_BEGINNINGS = (
    ("HTTP 401", "not_let_in"),
    ("HTTP 403", "not_let_in"),
    ("HTTP 404", "no_such_address"),
    ("HTTP 410", "no_such_address"),
    ("HTTP 429", "too_many"),
    ("HTTP 5", "their_fault"),
    ("HTTP", "not_taken"),
    ("no connection", "no_line"),
    ("the name does not resolve", "no_line"),
    ("the line broke", "no_line"),
    ("no answer", "no_answer"),
    ("an answer", "odd_answer"),
    ("no approved text", "no_text"),
    ("refused", "not_taken"),
    ("no ", "no_such_address"),
    ("nobody has bound", "no_such_address"),
    ("the address was taken back", "no_such_address"),
)
WORDS = (*dict.fromkeys(word for _, word in _BEGINNINGS), "other")


def word_of(text: str) -> str:
    """Return the word of a refusal; ``other`` where nobody foresaw it."""
    return next((word for beginning, word in _BEGINNINGS if text.startswith(beginning)), "other")
