"""Files of keys and authorities enter; a TLS context for a broker, or words that say what is wrong with it, leave.

A certificate is always checked, and its name too: there is no setting that turns this off. The files are read again
at every connection, so one that was renewed is in use with the next.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_EXPIRED, _NOT_YET = 10, 9
_OTHER_NAME = (62, 64)
_NOBODY_VOUCHES = (2, 18, 19, 20, 21)
_NO_TLS = "no TLS is spoken there: check the port, or write mqtt:// instead of mqtts://"
_CUT = f"the connection was cut while TLS was being agreed on; perhaps {_NO_TLS}"


class BrokerTlsError(OSError):
    """A file of ours cannot be used; the text says which, and what to do."""


@dataclass(frozen=True, slots=True)
class BrokerTls:
    """How a broker's certificate is judged, and what is shown to one that asks for ours."""

    #: Whom to believe; None: the system's authorities.
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    #: The name in its certificate, where that is not the one in the address.
    name: str | None = None

    def open_context(self) -> ssl.SSLContext:
        """Return a context that checks certificate and name.

        Raises
        ------
        BrokerTlsError
            If a file is missing, is none of its kind, or does not fit the other.
        """
        context = _NamedContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.name = self.name
        context.sslsocket_class = _ClosingSocket
        self._trust(context)
        if self.certificate_file is not None:
            self._show(context, self.certificate_file)
        elif self.key_file is not None:
            raise BrokerTlsError("KAIMEN_BROKER_KEY_FILE is set without KAIMEN_BROKER_CERTIFICATE_FILE")
        return context

    def _trust(self, context: ssl.SSLContext) -> None:
        if self.ca_file is None:
            context.load_default_certs()
            return
        try:
            context.load_verify_locations(cafile=str(self.ca_file))
        except (OSError, ssl.SSLError) as error:
            raise BrokerTlsError(
                f"{self.ca_file} (KAIMEN_BROKER_CA_FILE) is no readable file of certificates (PEM): {_reason(error)}"
            ) from error
        # What stands in this file is believed by itself: it may be the broker's own certificate.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN

    def _show(self, context: ssl.SSLContext, certificate_file: Path) -> None:
        key = None if self.key_file is None else str(self.key_file)
        try:
            # A key with a password would ask for it on the terminal.
            context.load_cert_chain(str(certificate_file), key, password=lambda: "")
        except (OSError, ssl.SSLError) as error:
            raise BrokerTlsError(
                f"{certificate_file} and {key or 'the key in it'} (KAIMEN_BROKER_CERTIFICATE_FILE,"
                f" KAIMEN_BROKER_KEY_FILE) are no certificate with its key (PEM, no password): {_reason(error)}"
            ) from error


#: Nothing of our own is set: the system's authorities, and the name that is dialled.
SYSTEM_TRUST = BrokerTls()


class _ClosingSocket(ssl.SSLSocket):
    """Closes itself where the other side is not believed: paho leaves it to the next collection of rubbish."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except OSError as error:
            self.close()
            if isinstance(error, ConnectionError):
                raise BrokerTlsError(_CUT) from error
            raise


class _NamedContext(ssl.SSLContext):
    """Checks for ``name`` where one is given, instead of the address that was dialled."""

    name: str | None = None

    def wrap_socket(self, *given: Any, **named: Any) -> ssl.SSLSocket:
        if self.name is not None:
            named["server_hostname"] = self.name
        return super().wrap_socket(*given, **named)


def explain(error: BaseException) -> str:
    """Say in words an operator can act on why no connection was made."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _explain_certificate(error)
    if isinstance(error, ssl.SSLError):
        reason = _reason(error)
        if "WRONG_VERSION_NUMBER" in reason or "RECORD_LAYER_FAILURE" in reason:
            return _NO_TLS
        if "CERTIFICATE_REQUIRED" in reason or "HANDSHAKE_FAILURE" in reason or "BAD_CERTIFICATE" in reason:
            return f"the broker wants a certificate of ours: KAIMEN_BROKER_CERTIFICATE_FILE ({reason})"
        return f"TLS failed: {reason}"
    return str(error) or type(error).__name__


def _explain_certificate(error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code == _EXPIRED:
        return "the broker's certificate has expired: renew it there (or the clock of this machine is wrong)"
    if error.verify_code == _NOT_YET:
        return "the broker's certificate is not valid yet: its dates or the clock of this machine are wrong"
    if error.verify_code in _OTHER_NAME:
        return (
            f"the broker's certificate is for another name ({error.verify_message}): dial the name that is in it,"
            " or set KAIMEN_BROKER_TLS_NAME"
        )
    if error.verify_code in _NOBODY_VOUCHES:
        return (
            f"nobody we trust vouches for the broker's certificate ({error.verify_message}):"
            " KAIMEN_BROKER_CA_FILE names its authority"
        )
    return f"the broker's certificate is not accepted: {error.verify_message}"


def _reason(error: BaseException) -> str:
    if isinstance(error, ssl.SSLError):
        return error.reason or str(error)
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error)
