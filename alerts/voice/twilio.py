"""Calls through Twilio: an order enters, one call with what to say and to gather leaves; signed call-backs are read.

The call-back for a key is answered with what is then said: so the thanks follow the commit here too. Source: Twilio
documentation, Calls resource, TwiML Gather, "Validating requests" (HMAC-SHA1 of the address and the sorted fields).
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterator, Mapping
from urllib.parse import urlencode
from xml.sax.saxutils import escape, quoteattr

from pydantic import SecretStr
from pydantic_settings import SettingsConfigDict

from alerts.channels import ChannelSettingsError, DeliveryError
from alerts.sending.outgoing import Line, judge_status, open_line, parse_json
from alerts.voice.cloud import Report
from alerts.voice.gateway import CallOrder, Cause, dialled
from alerts.voice.keypad import Audience
from alerts.voice.wording import Language, Pause, language_of, question, text_of
from kaimen.settings import AlertsSettings, ChannelSettings

_VOICES: Mapping[Language, str] = {"zh": "zh-CN", "en": "en-GB"}
_CAUSES = {
    "completed": Cause.HUNG_UP,
    "busy": Cause.BUSY,
    "no-answer": Cause.NO_ANSWER,
    "canceled": Cause.NO_ANSWER,
    "failed": Cause.UNAVAILABLE,
}


class Settings(ChannelSettings):
    model_config = SettingsConfigDict(env_prefix="KAIMEN_VOICE_TWILIO_", frozen=True, extra="ignore")

    account_sid: str | None = None
    auth_token: SecretStr | None = None
    from_number: str | None = None
    url: str = "https://api.twilio.com"


class TwilioVoice:
    """Orders calls that gather one key."""

    name = "twilio"

    def __init__(self, line: Line, own: Settings, public_url: str) -> None:
        self._line = line
        self._own = own
        self._public_url = public_url.rstrip("/")
        self.is_real = line.is_real

    def call(self, order: CallOrder, sent_s: int) -> tuple[str, str]:
        number = dialled(order.number)
        callback = report_url(self._public_url, order.key)
        fields = {
            "To": number if number.startswith("+") else f"+86{number}", "From": self._own.from_number or "",
            "Twiml": format_question(order, callback), "Timeout": "40", "StatusCallback": callback,
        }  # fmt: skip
        token = self._own.auth_token.get_secret_value() if self._own.auth_token else ""
        basic = base64.b64encode(f"{self._own.account_sid}:{token}".encode()).decode()
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": f"Basic {basic}"}
        path = f"/2010-04-01/Accounts/{self._own.account_sid}/Calls.json"
        answer = self._line.send(path, urlencode(fields).encode(), headers)
        judge_status(answer)
        sid = str(parse_json(answer).get("sid") or "")
        if not sid:
            raise DeliveryError("an answer that is none", permanent=False, uncertain=True)
        return order.key, sid


def report_url(public_url: str, key: str) -> str:
    """Return where Twilio tells of a call; the signature covers it."""
    return f"{public_url.rstrip('/')}/voice/twilio/{key}"


def format_question(order: CallOrder, callback: str) -> str:
    """Return what is said and gathered."""
    language = language_of(order.language)
    says = "".join(_say(piece, language) for piece in question(Audience(order.audience), None))
    gather = f'<Gather numDigits="1" timeout="12" action={quoteattr(callback)}>{says}</Gather>'
    return f"<Response>{gather}</Response>"


def format_said(segment: str, language: Language, *, again: str | None = None) -> str:
    """Return what is said after a key; with ``again`` another key is gathered there."""
    said = _say(segment, language)
    if again is not None:
        said = f'<Gather numDigits="1" timeout="12" action={quoteattr(again)}>{said}</Gather>'
    return f'<?xml version="1.0" encoding="UTF-8"?><Response>{said}</Response>'


def _say(piece: str | Pause, language: Language) -> str:
    if isinstance(piece, Pause):
        return '<Pause length="1"/>'
    return f'<Say language="{_VOICES[language]}">{escape(text_of(piece, language))}</Say>'


def is_signed(*, token: str, url: str, fields: Mapping[str, str], signature: str) -> bool:
    """Say whether a call-back comes from who knows the token."""
    text = url + "".join(f"{name}{fields[name]}" for name in sorted(fields))
    wanted = base64.b64encode(hmac.digest(token.encode(), text.encode(), "sha1")).decode()
    return hmac.compare_digest(wanted, signature)


def parse_reports(key: str, fields: Mapping[str, str]) -> Iterator[Report]:
    """Yield what a call-back of one call says."""
    digits = fields.get("Digits", "")
    if digits:
        yield Report(key, "answered")
        yield Report(key, "digit", digits[0])
    status = fields.get("CallStatus", "")
    if status in _CAUSES:
        yield Report(key, "ended", _CAUSES[status].value)


def open_provider(settings: AlertsSettings, own: Settings | None = None) -> TwilioVoice:
    """Return the provider.

    Raises
    ------
    ChannelSettingsError
        With what is missing.
    """
    own = own or Settings()
    if own.account_sid is None or own.auth_token is None or not own.from_number:
        raise ChannelSettingsError(
            "KAIMEN_VOICE_GATEWAY=twilio needs KAIMEN_VOICE_TWILIO_ACCOUNT_SID, _AUTH_TOKEN and _FROM_NUMBER"
        )
    return TwilioVoice(open_line(own.url, settings, "KAIMEN_VOICE_TWILIO_URL"), own, settings.public_url)
