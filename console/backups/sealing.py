"""Backup files: readable bytes and public keys enter, an encrypted file leaves; with a private key, back.

A backup is written for keys whose private halves lie elsewhere: the machine that writes it cannot read it again. Per
file an ephemeral X25519 key agrees with each recipient on a key that wraps the file's own; the content is ChaCha20-
Poly1305 over blocks of ``BLOCK_BYTES``, each bound to its number and to whether it is the last (the STREAM construction
of Hoang, Reyhanitabar, Rogaway and Vizár, 2015), so that no block can be changed, moved, left out or cut off unseen.
All cryptography is the library ``cryptography``'s.
"""

from __future__ import annotations

import base64
import binascii
import os
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MAGIC = b"kaimen-backup 1\n"
PUBLIC_MARK, PRIVATE_MARK = "kaimen-backup-public-", "KAIMEN-BACKUP-PRIVATE-"
BLOCK_BYTES = 256 * 1024
RECIPIENTS_MAX = 16
_HEAD_BYTES_MAX = 16 * 1024
_KEY_BYTES = 32
_TAG_BYTES = 16
_WRAP_NONCE = bytes(12)  # the wrapping key is used once


class BackupError(ValueError):
    """A file or a key that cannot be used; the text says why and what to do."""


class Stanza(msgspec.Struct, frozen=True):
    """The file's key, wrapped for one recipient."""

    recipient: str
    wrapped: bytes


class Head(msgspec.Struct, frozen=True):
    """What stands before the blocks, readable by anybody: keys, nothing of what is inside."""

    ephemeral: bytes
    stanzas: list[Stanza]


@dataclass(frozen=True, slots=True, repr=False)
class PrivateKey:
    """The half that reads; kept where the backups are not."""

    key: X25519PrivateKey

    @property
    def public(self) -> str:
        return PUBLIC_MARK + _text(self.key.public_key().public_bytes_raw())

    def format(self) -> str:
        return PRIVATE_MARK + _text(self.key.private_bytes_raw())


def new_private_key() -> PrivateKey:
    return PrivateKey(X25519PrivateKey.generate())


def parse_private_key(text: str) -> PrivateKey:
    """Read what ``PrivateKey.format`` wrote; lines that begin with ``#`` are remarks."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if len(lines) != 1 or not lines[0].startswith(PRIVATE_MARK):
        raise BackupError(f"the key file must hold one line that begins with {PRIVATE_MARK}")
    return PrivateKey(X25519PrivateKey.from_private_bytes(_bytes(lines[0], PRIVATE_MARK)))


def parse_public_key(text: str) -> X25519PublicKey:
    """Read a recipient.

    Raises
    ------
    BackupError
        If it is none; a private key in its place above all.
    """
    if text.startswith(PRIVATE_MARK):
        raise BackupError(
            "this is a private key: a backup is written with the public one, keep this one elsewhere"
        )
    if not text.startswith(PUBLIC_MARK):
        raise BackupError(f"a recipient begins with {PUBLIC_MARK}: kaimen backup key makes one")
    return X25519PublicKey.from_public_bytes(_bytes(text, PUBLIC_MARK))


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _bytes(text: str, mark: str) -> bytes:
    try:
        raw = base64.b64decode(text.removeprefix(mark) + "=", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise BackupError("the key has been cut or mistyped") from error
    if len(raw) != _KEY_BYTES:
        raise BackupError("the key has been cut or mistyped")
    return raw


def _derive(secret: bytes, salt: bytes, words: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=_KEY_BYTES, salt=salt, info=words).derive(secret)


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11, "big") + (b"\x01" if last else b"\x00")


class Sealer:
    """Writes one encrypted file; without ``close`` it has no last block and will not be taken for whole."""

    def __init__(self, out: BinaryIO, recipients: Sequence[str]) -> None:
        if not 1 <= len(recipients) <= RECIPIENTS_MAX:
            raise BackupError(f"name 1 to {RECIPIENTS_MAX} recipients")
        file_key = secrets.token_bytes(_KEY_BYTES)
        ephemeral = X25519PrivateKey.generate()
        public = ephemeral.public_key().public_bytes_raw()
        stanzas = []
        for recipient in dict.fromkeys(recipients):
            shared = ephemeral.exchange(parse_public_key(recipient))
            key = _derive(shared, public + recipient.encode(), b"kaimen backup wrap")
            stanzas.append(Stanza(recipient, ChaCha20Poly1305(key).encrypt(_WRAP_NONCE, file_key, None)))
        head = msgspec.json.encode(Head(public, stanzas))
        self._head = MAGIC + len(head).to_bytes(4, "big") + head
        self._out = out
        self._cipher = ChaCha20Poly1305(_derive(file_key, self._head, b"kaimen backup content"))
        self._waiting = bytearray()
        self._number = 0
        out.write(self._head)

    def write(self, data: bytes) -> None:
        """Add content; a block goes out when more follows it."""
        self._waiting += data
        while len(self._waiting) > BLOCK_BYTES:
            block = bytes(self._waiting[:BLOCK_BYTES])
            del self._waiting[:BLOCK_BYTES]
            self._put(block, last=False)

    def close(self) -> None:
        """Write the last block."""
        self._put(bytes(self._waiting), last=True)
        self._waiting.clear()

    def _put(self, block: bytes, *, last: bool) -> None:
        self._out.write(self._cipher.encrypt(_nonce(self._number, last), block, None))
        self._number += 1


def open_sealed(file: BinaryIO, key: PrivateKey) -> Iterator[bytes]:
    """Return the content block by block; each was checked before it is given.

    Raises
    ------
    BackupError
        If the file is none, is of another key, was changed or ends too early.
    """
    head_bytes, head = _read_head(file)
    cipher = ChaCha20Poly1305(_derive(_unwrap(head, key), head_bytes, b"kaimen backup content"))
    number = 0
    block = file.read(BLOCK_BYTES + _TAG_BYTES)
    while True:
        following = file.read(BLOCK_BYTES + _TAG_BYTES)
        last = not following
        try:
            yield cipher.decrypt(_nonce(number, last), block, None)
        except InvalidTag:
            raise BackupError(
                f"block {number} is not as it was written: the file was damaged, changed or cut off"
            ) from None
        if last:
            return
        block, number = following, number + 1


def _read_head(file: BinaryIO) -> tuple[bytes, Head]:
    if file.read(len(MAGIC)) != MAGIC:
        raise BackupError("this is no backup of Kaimen")
    length = file.read(4)
    size = int.from_bytes(length, "big")
    text = file.read(size) if size <= _HEAD_BYTES_MAX else b""
    try:
        return MAGIC + length + text, msgspec.json.decode(text, type=Head)
    except msgspec.MsgspecError as error:
        raise BackupError("the head of the file was damaged or cut off") from error


def _unwrap(head: Head, key: PrivateKey) -> bytes:
    for stanza in head.stanzas[:RECIPIENTS_MAX]:
        if stanza.recipient != key.public:
            continue
        shared = key.key.exchange(X25519PublicKey.from_public_bytes(head.ephemeral))
        wrapping = _derive(shared, head.ephemeral + stanza.recipient.encode(), b"kaimen backup wrap")
        try:
            return ChaCha20Poly1305(wrapping).decrypt(_WRAP_NONCE, stanza.wrapped, None)
        except InvalidTag:
            raise BackupError("the head of the file was damaged or changed") from None
    listed = ", ".join(stanza.recipient for stanza in head.stanzas)
    raise BackupError(f"the file was written for another key: {listed}")


def write_key_file(path: Path, key: PrivateKey) -> None:
    """Write a new private key where there is none; only its owner may read it."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise BackupError(f"{path} exists: a key is never written over, backups may need it") from None
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(
            f"# Keep this away from the machine and from its backups. Public: {key.public}\n{key.format()}\n"
        )
        file.flush()
        os.fsync(file.fileno())
