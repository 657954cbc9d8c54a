"""What the telephone says: an audience, a language and a code enter, named segments in order leave; pure.

Nothing here names a person, a door or a state: who listens is not known before a key is pressed, and voice mail keeps
what it hears. Sentences are short and calm, spoken slowly, and the question is said twice. A segment is the piece that
somebody the elder knows can record; what nobody recorded is synthesised.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from alerts.voice.keypad import Audience, Meaning

Language = Literal["zh", "en"]
LANGUAGES: tuple[Language, ...] = ("zh", "en")
CODE_DIGITS = 6
_PAUSE_S = 0.7
_LONG_PAUSE_S = 1.6
_DIGIT_PAUSE_S = 0.25

#: (zh, en) by segment. The words are the ones to hand to a provider for its approval, too.
TEXTS: dict[str, tuple[str, str]] = {
    "elder.greeting": ("您好。这里是社区物业，打电话问候您。", "Hello. This is your community office, calling to ask after you."),
    "elder.question": ("您都好，请按一。需要帮助，请按二。", "If you are well, press 1. If you need help, press 2."),
    "family.greeting": ("您好。这里是社区物业。有一件事请您帮忙。", "Hello. This is the community office. We ask for your help."),
    "family.question": ("您来处理，请按一。您不方便，请按二。", "If you take care of it, press 1. If you cannot, press 2."),
    "staff.greeting": ("您好。开门值班系统。有一件工作等您处理。", "Hello. This is Kaimen. A task is waiting for you."),
    "staff.question": ("接受，请按一。", "To accept, press 1."),
    "test.greeting": ("您好。这是每月一次的电话测试。", "Hello. This is the monthly test call."),
    "test.question": ("听清楚了，请按一。", "If you can hear this, press 1."),
    "again": ("没有听清。请再按一次。", "That was not clear. Please press again."),
    "call_back": ("您也可以回拨这个号码，回拨码是：", "You can also call this number back. The code is:"),
    "thanks.well": ("谢谢您。已经记下了。祝您安好。", "Thank you. It is noted. Take care."),
    "thanks.help": ("知道了，已经记下，正在通知值班人员。情况紧急，请马上打幺二零。", "Understood. It is noted, and the people on duty are being told. In danger to life, dial 1 2 0 now."),
    "thanks.takes_care": ("谢谢您，已经记下。请看您的家属页面，或者打物业电话了解情况。", "Thank you. It is noted. Please look at your family page, or phone the office."),
    "thanks.cannot": ("知道了。我们再找别人。谢谢您。", "Understood. We will ask somebody else. Thank you."),
    "thanks.accepts": ("谢谢，已经记在您名下。请马上打开任务页面。", "Thank you. It is now yours. Please open your task page now."),
    "thanks.heard": ("谢谢。测试完成。", "Thank you. The test is done."),
    "thanks.noted": ("谢谢您，已经记下。工作人员还需要跟您说上话。", "Thank you. It is noted. Somebody still has to speak with you."),
    "taken": ("谢谢。已经有人在处理了。", "Thank you. Somebody is taking care of it already."),
    "failed": ("对不起，现在记不下来。请打物业电话。我们也会再打给您。", "We are sorry, it could not be noted. Please phone the office. We will call again too."),
    "open_question": ("您好。这里是社区物业。请按回拨码。", "Hello. This is the community office. Please enter your code."),
    "code_wrong": ("没有这个回拨码。请再按一次。", "This code is not known. Please try again."),
    "goodbye": ("请打物业电话找人帮您。再见。", "Please phone the office to reach a person. Goodbye."),
    **{f"digit.{number}": (word, str(number)) for number, word in enumerate("零幺二三四五六七八九")},
}  # fmt: skip

#: What somebody the elder knows can record; codes and staff's prompts stay with the machine.
RECORDABLE = (
    "elder.greeting",
    "elder.question",
    "thanks.well",
    "thanks.help",
    "thanks.noted",
    "family.greeting",
    "family.question",
    "thanks.takes_care",
    "thanks.cannot",
)


@dataclass(frozen=True, slots=True)
class Pause:
    """So much silence between two segments."""

    seconds: float


Piece = str | Pause


def text_of(segment: str, language: Language) -> str:
    """Return the words of a segment."""
    return TEXTS[segment][LANGUAGES.index(language)]


def language_of(word: str) -> Language:
    """Return the language a person is spoken to in."""
    return "en" if word.lower().startswith("en") else "zh"


def question(audience: Audience, code: str | None) -> tuple[Piece, ...]:
    """Return what a callee hears: the greeting, the question twice, and how to call back."""
    asked = f"{audience.value}.question"
    head = (
        Pause(_PAUSE_S),
        f"{audience.value}.greeting",
        Pause(_PAUSE_S),
        asked,
        Pause(_LONG_PAUSE_S),
        asked,
    )
    if code is None:
        return (*head, Pause(_PAUSE_S))
    return (*head, Pause(_LONG_PAUSE_S), "call_back", *_spelled(code))


def _spelled(code: str) -> tuple[Piece, ...]:
    found: list[Piece] = []
    for digit in code:
        found += (Pause(_DIGIT_PAUSE_S), f"digit.{digit}")
    return tuple(found)


def again(audience: Audience) -> tuple[Piece, ...]:
    """Return what is said after a wrong key."""
    return (Pause(0.3), "again", Pause(0.3), f"{audience.value}.question")


def thanks(meaning: Meaning) -> tuple[Piece, ...]:
    """Return what is said once the answer is written."""
    return (Pause(0.2), f"thanks.{meaning.value}", Pause(0.5))


def single(segment: str) -> tuple[Piece, ...]:
    """Return one segment with a breath before it."""
    return (Pause(0.3), segment, Pause(0.3))
