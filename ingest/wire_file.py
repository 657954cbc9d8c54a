"""A file of recorded wire messages (JSON Lines) enters, its messages leave: as they stand, or in order of receipt."""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from ingest.recording_file import RecordingError, Unreadable, open_bytes

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
#: The year 10889: what is beyond is no receipt.
_RECEIVED_MAX_MS = 1 << 48


@dataclass(frozen=True, slots=True)
class WireMessages:
    """The messages of a file or a pipe, plain or gzip, with or without a byte-order mark, any line ends.

    A line that is no message is noted in ``unreadable`` and the next one read; without that list it is an error.

    Raises
    ------
    RecordingError
        While they are read: with the number of the line that is not a message; or if the file cannot be read to its end.
    """

    path: Path
    unreadable: list[Unreadable] | None = None
    _decoder: msgspec.json.Decoder[dict[str, Any]] = field(
        default_factory=lambda: msgspec.json.Decoder(dict[str, Any]), repr=False
    )

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield them as they stand, one at a time."""
        for _, message in self._read():
            yield message

    def by_receipt(self) -> Iterator[dict[str, Any]]:
        """Yield them in order of receipt, those received together as they stand; holds the text in memory.

        Raises
        ------
        RecordingError
            If it is a pipe, which says everything but once.
        """
        if not self.path.is_file():
            raise RecordingError(
                f"{self.path.name}: the lines are not in order of receipt, and a pipe can be read but once; "
                "sort them by received_at, or put them into a file and name it"
            )
        receipts, texts = array("q"), []
        for text, message in self._read():
            receipts.append(message["received_at"])
            texts.append(text)
        for number in sorted(range(len(texts)), key=receipts.__getitem__):
            yield _read_message(self._decoder, texts[number])

    def _read(self) -> Iterator[tuple[bytes, dict[str, Any]]]:
        if self.unreadable is not None:
            self.unreadable.clear()
        number = 0
        try:
            with open_bytes(self.path) as stream:
                for number, line in enumerate(stream, start=1):
                    text = line.removeprefix(_BYTE_ORDER_MARK).strip() if number == 1 else line.strip()
                    if not text:
                        continue
                    try:
                        yield text, _read_message(self._decoder, text)
                    except ValueError as error:
                        if self.unreadable is None:
                            raise RecordingError(f"{self.path.name}, line {number}: {error}") from error
                        self.unreadable.append(Unreadable(number, str(error)))
        except (OSError, EOFError, zlib.error) as error:
            raise RecordingError(f"{self.path.name}: cannot be read after line {number}: {error}") from error


def _read_message(decoder: msgspec.json.Decoder[dict[str, Any]], text: bytes) -> dict[str, Any]:
    try:
        message = decoder.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"not a JSON object ({error})") from error
    received = message.get("received_at")
    if isinstance(received, float) and received.is_integer():
        received = int(received)
    if not isinstance(received, int) or isinstance(received, bool) or not 0 <= received < _RECEIVED_MAX_MS:
        raise ValueError("received_at must be Unix milliseconds")
    message["received_at"] = received
    return message
