"""What a provider's own code means: a code and its tables enter, a DeliveryError leaves; pure.

Chat and SMS platforms answer 200 and refuse in the body, so every channel hands the code of the body to this file.
The provider's words are not repeated: they may quote what was sent.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from alerts.channels import DeliveryError

#: Codes as providers say them, kept short: they stand in delivery rows and on the page of the channels.
CODE_LENGTH_MAX = 60


@dataclass(frozen=True, slots=True)
class Refusals:
    """The codes of one provider: which may pass by themselves, and which forbid sending for how many seconds.

    A code in none of them is permanent: what a provider refuses without telling when to come back is for a person.
    """

    temporary: Collection[str] = ()
    throttled: Mapping[str, int] = field(default_factory=dict)

    def error(self, code: object) -> DeliveryError:
        """Return what a refusal with ``code`` means for the message."""
        word = str(code)[:CODE_LENGTH_MAX]
        words = f"refused: {word}"
        if word in self.throttled:
            return DeliveryError(words, permanent=False, retry_after_s=self.throttled[word], throttled=True)
        return DeliveryError(words, permanent=word not in self.temporary)
