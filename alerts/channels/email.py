"""Mail over SMTP: a message enters, one mail to one address leaves.

``Message-ID`` is made of the key, so that a copy is the same mail: most mailboxes show it once. The connection is
STARTTLS or TLS from its first byte; without either only to a host inside that is listed.
"""

from __future__ import annotations

import smtplib
import socket
import ssl
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Literal

from pydantic import SecretStr
from pydantic_settings import SettingsConfigDict

from alerts.channels import (
    AfterDoubt,
    Channel,
    ChannelSettingsError,
    DeliveryError,
    Message,
    Receipt,
    Traits,
)
from alerts.sending.outgoing import Target, bounded, connect, is_listed, open_tls, private_hosts_of
from kaimen.clock import as_datetime
from kaimen.settings import AlertsSettings, ChannelSettings

_PORTS = {"tls": 465, "starttls": 587, "plain": 25}
_SUBJECTS = {"zh-CN": "开门：个案 {number}", "en": "Kaimen: case {number}"}


class Settings(ChannelSettings):
    model_config = SettingsConfigDict(env_prefix="KAIMEN_EMAIL_", frozen=True, extra="ignore")

    host: str | None = None
    port: int | None = None
    security: Literal["tls", "starttls", "plain"] = "starttls"
    user: str | None = None
    password: SecretStr | None = None
    sender: str | None = None


class _Line(smtplib.SMTP):
    """An SMTP client on a line that is connected already, to the one address that was checked."""

    def __init__(self, line: socket.socket, host: str, within_s: float) -> None:
        self._ready = line
        super().__init__(timeout=within_s)
        self._host = host
        status, _ = self.connect(host, 1)
        if status != 220:
            self.close()
            raise smtplib.SMTPConnectError(status, b"")

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        return self._ready


class EmailChannel:
    """Sends mails through one server."""

    name = "email"
    traits = Traits(after_doubt=AfterDoubt.RESEND, personal=True, takes_at_most_s=120)

    def __init__(self, target: Target, own: Settings, tls: ssl.SSLContext | None, within_s: float) -> None:
        self._target, self._own, self._tls, self._within_s = target, own, tls, within_s
        self.is_real = not target.private

    def deliver(self, message: Message) -> Receipt:
        if "@" not in message.address or any(ord(sign) < 33 for sign in message.address):
            raise DeliveryError("no mail address", permanent=True)
        mail = format_mail(message, self._own.sender or "")
        at_start = self._tls if self._own.security == "tls" else None
        line = connect(self._target, answer_within_s=self._within_s, tls=at_start)
        handed_over = accepted = False
        try:
            server = _Line(line, self._target.host, self._within_s)
            # Several exchanges, each of them an answer.
            with bounded(lambda: server.sock, 3 * self._within_s), server:
                self._greet(server)
                _judge(*server.mail(self._own.sender or ""))
                _judge(*server.rcpt(message.address))
                handed_over = True
                _judge(*server.data(mail))
                handed_over = False
                accepted = True
        except smtplib.SMTPServerDisconnected:
            if accepted:  # it hung up instead of saying good-bye
                return self._receipt(message)
            raise DeliveryError("the line broke", permanent=False, uncertain=handed_over) from None
        except smtplib.SMTPResponseException as error:
            raise _refusal(error.smtp_code) from None
        except (OSError, smtplib.SMTPException) as error:
            if accepted:
                return self._receipt(message)
            raise DeliveryError(
                f"no answer: {type(error).__name__}", permanent=False, uncertain=handed_over
            ) from None
        finally:
            line.close()
        return self._receipt(message)

    def _receipt(self, message: Message) -> Receipt:
        return Receipt("accepted", provider_id=mail_id(message, self._own.sender or ""))

    def _greet(self, server: smtplib.SMTP) -> None:
        server.ehlo("kaimen")
        if self._own.security == "starttls":
            assert self._tls is not None
            if not server.has_extn("starttls"):
                raise DeliveryError("the server offers no STARTTLS", permanent=True)
            server.starttls(context=self._tls)
            server.ehlo("kaimen")
        if self._own.user:
            server.login(self._own.user, self._own.password.get_secret_value() if self._own.password else "")


def mail_id(message: Message, sender: str) -> str:
    return f"<{message.key}@{sender.rpartition('@')[2] or 'kaimen'}>"


def format_mail(message: Message, sender: str) -> bytes:
    """Return the mail: case number and link, in the person's language or in both."""
    mail = EmailMessage(policy=SMTP)
    languages = [message.language] if message.language in _SUBJECTS else list(_SUBJECTS)
    mail["Subject"] = " / ".join(_SUBJECTS[language].format(number=message.number) for language in languages)
    mail["From"] = Address("Kaimen", addr_spec=sender)
    mail["To"] = Address(addr_spec=message.address)
    mail["Date"] = format_datetime(as_datetime(message.sent_s * 1000))
    mail["Message-ID"] = mail_id(message, sender)
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(message.text())
    return mail.as_bytes()


def _judge(code: int, _words: bytes) -> None:
    if not 200 <= code < 300:
        raise _refusal(code)


def _refusal(code: int) -> DeliveryError:
    # 421, 450, 451, 452: come back later, which is also what grey-listing says.
    return DeliveryError(
        f"SMTP {code}",
        permanent=code >= 500,
        throttled=code == 421,
        retry_after_s=300 if code < 500 else None,
    )


def open_channel(settings: AlertsSettings, own: Settings | None = None) -> Channel | None:
    own = own or Settings()
    if own.host is None:
        return None
    private = is_listed(own.host, private_hosts_of(settings))
    if not own.sender or "@" not in own.sender:
        raise ChannelSettingsError("KAIMEN_EMAIL_HOST needs KAIMEN_EMAIL_SENDER, a mail address")
    if own.security == "plain" and not private:
        raise ChannelSettingsError(
            "KAIMEN_EMAIL_SECURITY plain needs KAIMEN_EMAIL_HOST listed in KAIMEN_ALERTS_PRIVATE_HOSTS"
        )
    target = Target(
        "smtp", own.host, own.port or _PORTS[own.security], "", private, loopback_only=settings.demo
    )
    tls = None if own.security == "plain" else open_tls(settings.alerts_ca_file)
    return EmailChannel(target, own, tls, settings.alerts_answer_within_s)
