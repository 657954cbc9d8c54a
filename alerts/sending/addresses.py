"""Addresses of people at rest: a text enters, bytes for the database leave, and back.

With a key an address lies encrypted (AES-256-GCM, a fresh nonce each, bound to its channel); without one it lies as
it is, and the page of the channels says so. Either can be read after a key was set. Nothing here is ever logged.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from dataclasses import dataclass
from pathlib import Path

KEY_BYTES = 32
_NONCE_BYTES = 12
_PLAIN, _SEALED = b"\x00", b"\x01"
_HASH_BYTES = 16


class AddressKeyError(ValueError):
    """The key is none, or not the one an address was encrypted with."""


@dataclass(frozen=True, slots=True, repr=False)
class AddressBook:
    """Seals and opens addresses; ``key`` empty means that they are only wrapped."""

    key: bytes = b""

    def seal(self, channel: str, address: str) -> bytes:
        """Return the bytes to store."""
        if not self.key:
            return _PLAIN + address.encode()
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _SEALED + nonce + AESGCM(self.key).encrypt(nonce, address.encode(), channel.encode())

    def open(self, channel: str, stored: bytes) -> str:
        """Return the address.

        Raises
        ------
        AddressKeyError
            If it is encrypted and the key is missing or another one.
        """
        stored = bytes(stored)
        if stored[:1] == _PLAIN:
            return stored[1:].decode()
        if not self.key:
            raise AddressKeyError("addresses lie encrypted and KAIMEN_ADDRESS_KEY_FILE is not set")
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce, sealed = stored[1 : 1 + _NONCE_BYTES], stored[1 + _NONCE_BYTES :]
        try:
            return AESGCM(self.key).decrypt(nonce, sealed, channel.encode()).decode()
        except InvalidTag:
            raise AddressKeyError("KAIMEN_ADDRESS_KEY_FILE is not the key of this installation") from None

    def find_hash(self, channel: str, address: str) -> bytes:
        """Return what an address is found by: the same for the same address, and nothing to read it from."""
        plain = f"{channel}\x1f{normal_address(address)}".encode()
        return hmac.digest(self.key or b"kaimen address", plain, "sha256")[:_HASH_BYTES]


def normal_address(address: str) -> str:
    """Return one writing of an address: no outer spaces; telephone numbers without separators."""
    address = address.strip()
    digits = "".join(sign for sign in address if sign not in " -()")
    if digits.lstrip("+").isdecimal():
        return digits
    return address.lower() if "@" in address else address


def mask_address(address: str) -> str:
    """Return what of an address may be shown to somebody who knows it: its ends."""
    if len(address) <= 4:
        return "•" * len(address)
    name, at, domain = address.partition("@")
    if at:
        return f"{name[:1]}•••@{domain}"
    return f"{address[:3]}•••{address[-2:]}" if len(address) >= 8 else f"•••{address[-2:]}"


def open_address_book(key_file: Path | None) -> AddressBook:
    """Return the book with the key of a file of base64; without a file one that encrypts nothing.

    Raises
    ------
    AddressKeyError
        If the file does not hold 32 bytes in base64, or the package for it is missing.
    """
    if key_file is None:
        return AddressBook()
    try:
        key = base64.b64decode(key_file.read_text().strip(), validate=True)
    except (OSError, binascii.Error, UnicodeDecodeError) as error:
        raise AddressKeyError(f"KAIMEN_ADDRESS_KEY_FILE: {type(error).__name__}") from None
    if len(key) != KEY_BYTES:
        raise AddressKeyError(f"KAIMEN_ADDRESS_KEY_FILE must hold the base64 of {KEY_BYTES} bytes")
    return AddressBook(key)
