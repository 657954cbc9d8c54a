"""The watchdog's own ways out: findings enter, a signed POST or a program's run leaves; and a ping while all is well."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from alerts.channels import ChannelSettingsError, DeliveryError
from alerts.channels.webhook import parse_secret, sign
from alerts.sending.outgoing import Target, judge_status, open_tls, parse_target, request
from alerts.watchdog.rules import Check, Finding
from alerts.watchdog.words import mend, title
from kaimen.settings import WatchdogSettings

PROGRAM_WITHIN_S = 20.0
#: One message names this many; the rest is a number.
FINDINGS_MAX = 20


class NotToldError(Exception):
    """Nobody took the message; it is tried again at the next turn."""


@dataclass(frozen=True, slots=True)
class Told:
    """One message: what stands, and what is over."""

    findings: tuple[Finding, ...] = ()
    ended: tuple[Finding, ...] = ()

    def body(self, wall: datetime) -> bytes:
        """Return it as JSON: checks, subjects, since when and how to mend; nothing about anybody."""
        content = {
            "type": "watchdog.findings",
            "timestamp": wall.isoformat(),
            "findings": [_as_json(item) for item in self.findings[:FINDINGS_MAX]],
            "findings_total": len(self.findings),
            "ended": [_as_json(item) for item in self.ended[:FINDINGS_MAX]],
            "text": {language: self._text(language) for language in ("zh", "en")},
        }
        return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()

    def _text(self, language: str) -> str:
        counts: dict[Check, int] = {}
        for item in self.findings:
            counts[item.check] = counts.get(item.check, 0) + 1
        lines = [
            f"{title(check, language)} ({count}). {mend(check, language)}" for check, count in counts.items()
        ]
        over = {"zh": "已恢复:", "en": "Over: "}[language]
        lines += [over + title(check, language) for check in dict.fromkeys(item.check for item in self.ended)]
        return "\n".join(lines)


def _as_json(item: Finding) -> dict[str, object]:
    return {
        "check": item.check.value,
        "subject": item.subject,
        "since": item.suspected_at.isoformat(),
        "detail": dict(item.detail),
        "mend": {language: mend(item.check, language) for language in ("zh", "en")},
    }


@dataclass(slots=True)
class Ways:
    """Where findings go, and whom a healthy turn is told to; each may be missing."""

    target: Target | None = None
    key: bytes = b""
    program: Path | None = None
    ping: Target | None = None
    run: Callable[..., subprocess.CompletedProcess[bytes]] = field(default=subprocess.run)

    @property
    def has_channel(self) -> bool:
        return self.target is not None or self.program is not None

    def tell(self, told: Told, wall: datetime) -> None:
        """Hand a message out; one way that takes it is enough.

        Raises
        ------
        NotToldError
            If every way there is failed, or there is none.
        """
        body = told.body(wall)
        failures: list[str] = []
        taken = False
        if self.target is not None:
            try:
                self._post(body, wall)
                taken = True
            except DeliveryError as error:
                failures.append(f"webhook: {error}")
        if self.program is not None:
            try:
                done = self.run(
                    [str(self.program)], input=body, timeout=PROGRAM_WITHIN_S, check=False,
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                )  # fmt: skip
                taken = taken or done.returncode == 0
                if done.returncode:
                    failures.append(f"program: status {done.returncode}")
            except (OSError, subprocess.TimeoutExpired) as error:
                failures.append(f"program: {type(error).__name__}")
        if not taken:
            raise NotToldError("; ".join(failures) or "no way is set")

    def _post(self, body: bytes, wall: datetime) -> None:
        assert self.target is not None
        seconds = int(wall.timestamp())
        name = f"watchdog-{seconds}"
        headers = {
            "Content-Type": "application/json",
            "webhook-id": name,
            "webhook-timestamp": str(seconds),
            "webhook-signature": sign(self.key, message_id=name, timestamp_s=seconds, body=body),
        }
        judge_status(request(self.target, body=body, headers=headers, tls=_tls(self.target)))

    def say_alive(self) -> bool:
        """Call the far dead man's switch; False where it did not answer."""
        assert self.ping is not None
        try:
            judge_status(request(self.ping, body=b"", headers={}, tls=_tls(self.ping), method="GET"))
        except DeliveryError:
            return False
        return True


def _tls(target: Target) -> ssl.SSLContext | None:
    return open_tls(None) if target.scheme == "https" else None


def open_ways(settings: WatchdogSettings) -> Ways:
    """Return the ways out that the settings name.

    Raises
    ------
    ChannelSettingsError
        If an address is none, the secret is missing, or the program cannot be run.
    """
    hosts: Sequence[str] = settings.watchdog_private_hosts
    ways = Ways(program=settings.watchdog_program)
    if settings.watchdog_webhook_url:
        ways.target = parse_target(
            settings.watchdog_webhook_url, hosts, demo=settings.demo, variable="KAIMEN_WATCHDOG_WEBHOOK_URL"
        )
        ways.key = parse_secret(settings.watchdog_webhook_secret)
    if settings.watchdog_ping_url:
        ways.ping = parse_target(
            settings.watchdog_ping_url, hosts, demo=settings.demo, variable="KAIMEN_WATCHDOG_PING_URL"
        )
    if ways.program is not None and not os.access(ways.program, os.X_OK):
        raise ChannelSettingsError(
            f"KAIMEN_WATCHDOG_PROGRAM is {ways.program}: it must be a program this account may run"
        )
    return ways
