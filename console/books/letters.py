"""The text of a cell enters; why it cannot be what somebody wrote leaves, and the standard's letters for a code page's.

Letters are never guessed. What is put right is what the standard itself put right: fourteen rare characters that old
tables kept in the area for private use, where each machine shows another sign, or none.
"""

from __future__ import annotations

import re
import unicodedata

CELL_LENGTH_MAX = 1000
CITIZENS_NUMBER = "holds what looks like a citizen's number, which is never kept"
LINE_BREAK = "holds a line break"
CJK = re.compile(r"[\u3400-\u9fff\U00020000-\U0003ffff]")
#: What U+FFFD becomes when its bytes are read as GB18030; whatever the letters were, they are gone.
_REPLACED = "锟斤拷"
#: Where GBK and GB18030 of 2000 kept characters that GB18030 of 2022 has at their own places (bytes FE51 to FEA0).
_STANDARD = {
    0xE816: 0x20087, 0xE817: 0x20089, 0xE818: 0x200CC, 0xE81E: 0x9FB4, 0xE826: 0x9FB5, 0xE82B: 0x9FB6, 0xE82C: 0x9FB7,
    0xE831: 0x215D7, 0xE832: 0x9FB8, 0xE83B: 0x2298F, 0xE843: 0x9FB9, 0xE854: 0x9FBA, 0xE855: 0x241FE, 0xE864: 0x9FBB,
}  # fmt: skip
#: Six digits of a place, a day of birth, three digits and a sum: no other number of an office looks like it by chance.
_CITIZEN = re.compile(
    r"(?<!\d)\d{6}(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dXx](?!\d)", re.ASCII
)
#: Joiners belong to the letters of some languages; every other sign without a shape was pasted along.
_JOINERS = "\u200c\u200d"


def as_standard(text: str) -> str:
    """Return the text with the characters of old tables at the places the standard gave them."""
    return text.translate(_STANDARD)


def find_lost(text: str) -> str | None:
    """Say why a cell's text cannot be what somebody wrote; None where it can."""
    if "\ufffd" in text or _REPLACED in text:
        return "holds the sign for a lost character"
    if "??" in text:
        return "holds question marks where letters were lost"
    if _CITIZEN.search(text):
        return CITIZENS_NUMBER
    if "\n" in text or "\r" in text:
        return LINE_BREAK
    kinds = {unicodedata.category(letter) for letter in text if letter not in _JOINERS}
    if kinds & {"Cc", "Cs"}:
        return "holds a control character or half a character"
    if "Cf" in kinds:
        return "holds an invisible character"
    if "Co" in kinds:
        return "holds a character of one machine's own, which another shows as another or not at all"
    if len(text) > CELL_LENGTH_MAX:
        return "is too long"
    return None if text.isascii() else _read_twice(text)


def _read_twice(text: str) -> str | None:
    for wrong in ("latin-1", "cp1252", "gb18030"):
        try:
            before = text.encode(wrong).decode("utf-8")
        except UnicodeError:
            continue
        # Two characters of Chinese by chance in bytes of another encoding: no name is like that.
        if wrong != "gb18030" or len(CJK.findall(before)) >= 2:
            return "was read in the wrong encoding once already"
    return None
