"""An alarm receiving centre over SIA DC-09: a message enters, one frame leaves and its ACK comes back.

``NA`` (no activity) opens and ``NS`` (activity resumed) ends; the account stands for the community, the text block
carries the case number, and nothing says which door. The frame is plain: take a VPN or a line of the centre's.
Source: ANSI/SIA DC-09 (frame, CRC-16, ACK, NAK, DUH) and DC-03 (event codes).
"""

from __future__ import annotations

import re
import zlib
from datetime import UTC, datetime

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
from alerts.sending.outgoing import Target, bounded, connect, is_listed, private_hosts_of
from kaimen.settings import AlertsSettings, ChannelSettings

ANSWER_BYTES_MAX = 1_024
_ACCOUNT = re.compile(r"[0-9A-Fa-f]{3,16}", re.ASCII)
_ANSWER = re.compile(rb'\n([0-9A-F]{4})0([0-9A-F]{3})("(\*?[A-Z]+)"(\d{4})[^\r\n]*)\r')


class Settings(ChannelSettings):
    model_config = SettingsConfigDict(env_prefix="KAIMEN_SIA_DC09_", frozen=True, extra="ignore")

    host: str | None = None
    port: int = 12300
    account: str | None = None
    receiver: str = "0"
    prefix: str = "0"


def crc16(data: bytes) -> int:
    """Return the CRC-16 of the standard: polynomial x^16 + x^15 + x^2 + 1, reflected, from zero."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
    return crc


def format_frame(
    *, code: str, account: str, sequence: int, text: str, at: datetime, receiver: str = "0", prefix: str = "0"
) -> bytes:
    """Return one ``SIA-DCS`` frame: ``text`` is the block of free words, ``at`` the instant of the event."""
    words = re.sub(r"[^0-9A-Za-z .:-]", " ", text)
    data = f"[#{account}|N{code}0^{words}^]"
    stamp = f"_{at.astimezone(UTC):%H:%M:%S,%m-%d-%Y}"
    body = f'"SIA-DCS"{sequence:04d}R{receiver}L{prefix}#{account}{data}{stamp}'.encode("ascii")
    return b"\n" + f"{crc16(body):04X}0{len(body):03X}".encode() + body + b"\r"


def parse_answer(data: bytes) -> tuple[str, int]:
    """Return what the receiver says (ACK, NAK, DUH) and to which sequence.

    Raises
    ------
    ValueError
        If it is no frame, or its CRC or length is wrong.
    """
    found = _ANSWER.search(data)
    if found is None:
        raise ValueError("no frame")
    crc, length, body = int(found[1], 16), int(found[2], 16), found[3]
    if crc != crc16(body) or length != len(body):
        raise ValueError("a frame with a wrong CRC or length")
    return found[4].decode(), int(found[5])


def sequence_of(key: str) -> int:
    """Return 1..9999, the same for every copy of a message."""
    return zlib.crc32(key.encode()) % 9_999 + 1


class SiaDc09Channel:
    """Sends events to one receiver; a repeated sequence with the same data is the same event to it."""

    name = "sia_dc09"
    traits = Traits(after_doubt=AfterDoubt.RESEND)

    def __init__(self, target: Target, own: Settings, within_s: float) -> None:
        self._target, self._own, self._within_s = target, own, within_s
        self.is_real = not target.private

    def deliver(self, message: Message) -> Receipt:
        sequence = sequence_of(message.key)
        frame = format_frame(
            code="NS" if message.template == "case_closed" else "NA",
            account=message.address or self._own.account or "", sequence=sequence, text=message.number,
            at=datetime.fromtimestamp(message.sent_s, UTC), receiver=self._own.receiver, prefix=self._own.prefix,
        )  # fmt: skip
        word, answered = self._exchange(frame)
        # A NAK carries the sequence 0000: the receiver's clock or ours is off.
        if word == "ACK" and answered == sequence:
            return Receipt("delivered", provider_id=f"{sequence:04d}")
        if word == "DUH":
            raise DeliveryError("refused: DUH", permanent=True)
        if word == "NAK":
            raise DeliveryError("refused: NAK", permanent=False)
        raise DeliveryError("an answer to something else", permanent=False, uncertain=True)

    def _exchange(self, frame: bytes) -> tuple[str, int]:
        line = connect(self._target, answer_within_s=self._within_s)
        try:
            with bounded(lambda: line, self._within_s):
                line.sendall(frame)
                answer = b""
                while b"\r" not in answer and len(answer) < ANSWER_BYTES_MAX:
                    more = line.recv(ANSWER_BYTES_MAX)
                    if not more:
                        break
                    answer += more
            return parse_answer(answer)
        except (OSError, ValueError) as error:
            raise DeliveryError(
                f"no answer: {type(error).__name__}", permanent=False, uncertain=True
            ) from None
        finally:
            line.close()


def open_channel(settings: AlertsSettings, own: Settings | None = None) -> Channel | None:
    own = own or Settings()
    if own.host is None:
        return None
    if own.account is None or not _ACCOUNT.fullmatch(own.account):
        raise ChannelSettingsError("KAIMEN_SIA_DC09_ACCOUNT must be the centre's account, 3 to 16 hex digits")
    private = is_listed(own.host, private_hosts_of(settings))
    target = Target("sia", own.host, own.port, "", private, loopback_only=settings.demo)
    return SiaDc09Channel(target, own, settings.alerts_answer_within_s)
