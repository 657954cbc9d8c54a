"""What the console's own code says, beside its templates: every word of it stands in both catalogues."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import console
from alerts.voice.wording import TEXTS
from console.loaders.log import METHODS, TYPES
from console.pages.sign_in import _REFUSAL_WORDS
from console.scope import Act, LegalBasis, LookUpRefusal, PurposeClass, RevealPurpose
from console.words import LANGUAGES, load_catalogue
from kaimen.vocabulary import TaskKind

CONSOLE = Path(console.__file__).parent
SOURCES = "\n".join(
    path.read_text(encoding="utf-8")
    for path in (*CONSOLE.glob("pages/*.py"), CONSOLE / "seat.py", *CONSOLE.glob("api/*.py"))
)


def _said() -> set[str]:
    actions = set(re.findall(r'audit\(\s*connection,\s*"(\w+)"', SOURCES)) | {act.value for act in Act}
    actions = actions - {"reveal"} | {"signed_in", "user_disabled", "user_enabled"}
    purposes = set(re.findall(r'purpose="(\w+)"', SOURCES))
    purposes |= {item.value for kind in (PurposeClass, RevealPurpose, TaskKind) for item in kind}
    purposes |= {"spoke", "saw"}
    errors = set(re.findall(r'RefusedError\(\d+, "(\w+)"', SOURCES)) | set(_REFUSAL_WORDS.values())
    errors |= {item.value for item in LookUpRefusal}
    errors |= set(re.findall(r'errors\["\w+"\] = "(\w+)"', SOURCES)) | set(
        re.findall(r'\{"": "(\w+)"\}', SOURCES)
    )
    return {
        *(f"audit.{word}" for word in actions),
        *(f"audit_purpose.{word}" for word in purposes),
        *(f"error.{word}" for word in errors),
        *(f"purpose.{item.value}" for item in PurposeClass),
        *(f"basis.{item.value}" for item in LegalBasis),
        *(f"method.{word}" for word in METHODS),
        *(f"event.{word}" for word in TYPES),
        *re.findall(r'"(notice\.\w+)"', SOURCES),
        *(
            f"act.{word}"
            for word in ("claim", "release", "call", "record_visit", "record_device", "hold", "hand_over")
        ),
    }


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_word_the_console_says_is_in_the_catalogue(language: str) -> None:
    assert sorted(_said() - set(load_catalogue(language))) == []


#: What nobody can keep: that somebody knows, comes, or answers, before anybody did.
_PROMISES = (
    "马上有人", "会有人给", "会有人来", "会有人答复", "会有结果", "已经知道", "物业知道了", "有人正在", "help is on its way",
    "is on the way", "will answer", "you will know", "there will be word", "community knows", "office knows", "somebody is coming",
)  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_nobody_is_promised_what_nobody_has_answered_for(language: str) -> None:
    heard = [text for texts in TEXTS.values() for text in texts]
    said = [text for forms in load_catalogue(language).values() for text in forms]
    assert [text for text in said + heard for word in _PROMISES if word in text.lower()] == []
