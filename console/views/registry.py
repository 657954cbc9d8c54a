"""Which class each template's ``page`` has, and the address it is meant for; each module of pages adds its own.

Fragments are blocks of the same template, asked for by ``?fragment=name``.
"""

from __future__ import annotations

#: template -> (class of ``page``, address)
TEMPLATES: dict[str, tuple[type, str]] = {}
