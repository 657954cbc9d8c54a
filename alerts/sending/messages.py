"""What a message says: a case number and a link enter, text in each language leaves.

Never a name, a door or a state: whoever reads over a shoulder learns nothing. A channel may have words of its own
(``case.sms.en.txt``); the others share a template.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from string import Template

LANGUAGES = ("zh-CN", "en")
#: A relative is asked to look; the work is not hers.
CASE_FAMILY = "case_family"
#: Everything that a message is made of; a test scans what comes out.
TEMPLATES = ("case", CASE_FAMILY, "case_closed", "digest", "test", "proof")


def case_link(public_url: str, case_id: int) -> str:
    """Return the address of a case's page, behind the sign-in."""
    return f"{public_url.rstrip('/')}/cases/{case_id}"


def token_link(public_url: str, token: str) -> str:
    """Return the address of the page on which a recipient says that she has seen a message; it shows no case."""
    return f"{public_url.rstrip('/')}/m/{token}"


def render_texts(template: str, *, number: str, link: str, channel: str = "") -> dict[str, str]:
    """Return the text of a message by language, in the channel's own words where it has some.

    Raises
    ------
    LookupError
        If there is no template of that name.
    """
    return {
        language: _template(template, channel, language).substitute(number=number, link=link).strip()
        for language in LANGUAGES
    }


@cache
def _template(name: str, channel: str, language: str) -> Template:
    if not name.isidentifier() or (channel and not channel.isidentifier()):
        raise LookupError(f"no template {name!r}")
    folder = files("alerts").joinpath("templates")
    for file in (f"{name}.{channel}.{language}.txt", f"{name}.{language}.txt"):
        entry = folder.joinpath(file)
        if entry.is_file():
            return Template(entry.read_text(encoding="utf-8"))
    raise LookupError(f"no template {name!r} in {language}")
