"""Sign-in with an OpenID provider: its answer enters, who somebody is there leaves; whose that is here, an administrator said.

Authorization code with PKCE (S256), state and nonce. What has to come back with the answer travels sealed in a cookie of
the browser that asked; nothing is stored before somebody has come back.
"""

from __future__ import annotations

import hmac
import json
import secrets
import threading
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import httpx
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

ATTEMPT_LIVES = timedelta(minutes=10)
METADATA_LIVES = timedelta(hours=1)
ANSWER_WITHIN_S = 10.0
LEEWAY_S = 60
SUBJECT_LENGTH_MAX = 255
#: Signatures with a key of the provider's; one made with our own secret, or none, proves nothing.
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"]
_NONCE_BYTES = 12


class OuterRefusal(StrEnum):
    """Why nobody came in by the provider's answer; the words stand below ``error.`` in the catalogues."""

    AWAY = "outer_away"
    STALE = "outer_stale"
    REFUSED = "outer_refused"
    NOT_PROVEN = "outer_not_proven"


class OuterError(Exception):
    """The answer is not taken; ``detail`` is for the log and holds nothing personal."""

    def __init__(self, why: OuterRefusal, detail: str = "") -> None:
        super().__init__(detail or why.value)
        self.why = why


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One sign-in that went to the provider."""

    state: str
    nonce: str
    verifier: str
    next: str
    expires_s: float


def seal(outgoing: Outgoing, key: bytes) -> str:
    """Close it up for the browser, which carries it and cannot read or change it."""
    words = [outgoing.state, outgoing.nonce, outgoing.verifier, outgoing.next, outgoing.expires_s]
    nonce = secrets.token_bytes(_NONCE_BYTES)
    sealed = AESGCM(_key(key)).encrypt(nonce, json.dumps(words).encode(), b"outgoing")
    return urlsafe_b64encode(nonce + sealed).decode()


def unseal(text: str, key: bytes, now: datetime) -> Outgoing:
    """Open what the browser brought back.

    Raises
    ------
    OuterError
        If it is not ours, or too old.
    """
    try:
        data = urlsafe_b64decode(text.encode())
        words = json.loads(AESGCM(_key(key)).decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], b"outgoing"))
    except (ValueError, InvalidTag) as error:
        raise OuterError(OuterRefusal.STALE) from error
    outgoing = Outgoing(*words)
    if outgoing.expires_s <= now.timestamp():
        raise OuterError(OuterRefusal.STALE)
    return outgoing


#: Where an installation has no key yet, attempts do not outlive the process.
_process_key = secrets.token_bytes(32)


def _key(key: bytes) -> bytes:
    return hmac.digest(key or _process_key, b"kaimen outer sign-in", "sha256")


class Provider:
    """One OpenID provider, by its issuer's address; what it says of itself is asked again after an hour."""

    def __init__(
        self, *, issuer: str, client_id: str, client_secret: str, redirect_url: str, claim: str = "sub"
    ) -> None:
        self._issuer = issuer
        self._client_id = client_id
        self._client_secret = client_secret
        self._redirect_url = redirect_url
        self._claim = claim
        self._lock = threading.Lock()
        self._metadata: dict[str, Any] = {}
        self._keys: KeySet | None = None
        self._read_at: datetime | None = None

    def begin(self, after: str, *, now: datetime) -> tuple[str, Outgoing]:
        """Return the provider's address to go to, and what has to be there when the answer comes.

        Raises
        ------
        OuterError
        """
        metadata, _ = self._read(now)
        outgoing = Outgoing(
            secrets.token_urlsafe(24), secrets.token_urlsafe(24), secrets.token_urlsafe(48), after,
            (now + ATTEMPT_LIVES).timestamp(),
        )  # fmt: skip
        url = prepare_grant_uri(
            metadata["authorization_endpoint"], self._client_id, "code", self._redirect_url, "openid",
            outgoing.state, nonce=outgoing.nonce, code_challenge=create_s256_code_challenge(outgoing.verifier),
            code_challenge_method="S256",
        )  # fmt: skip
        return str(url), outgoing

    def finish(self, outgoing: Outgoing, *, state: str, code: str, now: datetime) -> str:
        """Return who somebody is at the provider, proven by its signature.

        Raises
        ------
        OuterError
        """
        if not hmac.compare_digest(outgoing.state.encode(), state.encode()):
            raise OuterError(OuterRefusal.STALE, "state")
        metadata, keys = self._read(now)
        tokens = self._exchange(metadata["token_endpoint"], code, outgoing.verifier)
        claims = self._prove(tokens, keys, outgoing.nonce, now)
        subject = claims.get(self._claim)
        if (
            not isinstance(subject, str)
            or not subject.isprintable()
            or not 0 < len(subject) <= SUBJECT_LENGTH_MAX
        ):
            raise OuterError(OuterRefusal.NOT_PROVEN, f"no claim {self._claim}")
        return subject

    def _read(self, now: datetime) -> tuple[dict[str, Any], KeySet]:
        with self._lock:
            fresh = self._read_at is not None and now - self._read_at < METADATA_LIVES
            if fresh and self._keys is not None:
                return self._metadata, self._keys
        well_known = self._issuer.rstrip("/") + "/.well-known/openid-configuration"
        metadata = _fetch("GET", well_known)
        if metadata.get("issuer") != self._issuer:
            raise OuterError(OuterRefusal.AWAY, "it calls itself by another issuer")
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            if not isinstance(metadata.get(name), str):
                raise OuterError(OuterRefusal.AWAY, f"it names no {name}")
        try:
            keys = KeySet.import_key_set(_fetch("GET", metadata["jwks_uri"]))  # type: ignore[arg-type]
        except (JoseError, ValueError, KeyError) as error:
            raise OuterError(OuterRefusal.AWAY, "its keys cannot be read") from error
        with self._lock:
            self._metadata, self._keys, self._read_at = metadata, keys, now
        return metadata, keys

    def _exchange(self, url: str, code: str, verifier: str) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": self._redirect_url,
            "code_verifier": verifier,
        }  # fmt: skip
        if self._client_secret:
            return _fetch("POST", url, form, (self._client_id, self._client_secret))
        return _fetch("POST", url, {**form, "client_id": self._client_id})

    def _prove(self, tokens: dict[str, Any], keys: KeySet, nonce: str, now: datetime) -> dict[str, Any]:
        text = tokens.get("id_token")
        if not isinstance(text, str):
            raise OuterError(OuterRefusal.NOT_PROVEN, "no id_token")
        try:
            token = jwt.decode(text, keys, algorithms=ALGORITHMS)
            claims = CodeIDToken(
                token.claims, token.header,
                options={
                    "iss": {"essential": True, "value": self._issuer},
                    "aud": {"essential": True, "value": self._client_id},
                    "nonce": {"essential": True},
                },
                params={"nonce": nonce, "client_id": self._client_id, "access_token": tokens.get("access_token")},
            )  # fmt: skip
            claims.validate(now=int(now.timestamp()), leeway=LEEWAY_S)
        except (JoseError, ValueError) as error:
            # New keys are asked for at the next attempt.
            self._read_at = None
            raise OuterError(OuterRefusal.NOT_PROVEN, type(error).__name__) from error
        if token.claims.get("nonce") != nonce:
            raise OuterError(OuterRefusal.NOT_PROVEN, "nonce")
        return dict(token.claims)


def _fetch(
    method: str, url: str, form: dict[str, str] | None = None, auth: tuple[str, str] | None = None
) -> dict[str, Any]:
    try:
        with httpx.Client(timeout=ANSWER_WITHIN_S, follow_redirects=False) as client:
            answer = client.request(
                method, url, data=form, auth=auth, headers={"accept": "application/json"}
            ) if auth else client.request(method, url, data=form, headers={"accept": "application/json"})  # fmt: skip
        body = answer.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise OuterError(OuterRefusal.AWAY, type(error).__name__) from error
    if answer.status_code != 200 or not isinstance(body, dict):
        why = OuterRefusal.REFUSED if form is not None and answer.status_code < 500 else OuterRefusal.AWAY
        raise OuterError(why, f"answered {answer.status_code}")
    return body
