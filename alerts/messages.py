"""What a message says: a case number and a link enter, text in each language leaves.

Never a name, a door or a state: whoever reads over a shoulder learns nothing.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from string import Template

LANGUAGES = ("zh-CN", "en")


def case_link(public_url: str, case_id: int) -> str:
    """Return the address of a case's page, behind the sign-in."""
    return f"{public_url.rstrip('/')}/cases/{case_id}"


def render_texts(template: str, *, number: str, link: str) -> dict[str, str]:
    """Return the text of a message by language.

    Raises
    ------
    LookupError
        If there is no template of that name.
    """
    return {
        language: _template(template, language).substitute(number=number, link=link).strip()
        for language in LANGUAGES
    }


@cache
def _template(name: str, language: str) -> Template:
    entry = files("alerts").joinpath("templates", f"{name}.{language}.txt")
    if not name.isidentifier() or not entry.is_file():
        raise LookupError(f"no template {name!r} in {language}")
    return Template(entry.read_text(encoding="utf-8"))
