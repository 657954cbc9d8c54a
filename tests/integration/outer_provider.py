"""An OpenID provider on loopback, of authlib's own server classes: a browser's requests enter, codes and tokens leave."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from authlib.oauth2.rfc6749 import AuthorizationServer, ClientMixin, OAuth2Request
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc6750 import BearerTokenGenerator
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core import AuthorizationCodeMixin, OpenIDCode
from joserfc.jwk import RSAKey

CLIENT, SECRET = "kaimen", "secret of the client"


@dataclass
class Idp:
    """What the provider is and what a test makes it do; ``claims`` go into every token over the honest ones."""

    url: str = ""
    back: str = ""
    person: str = "zhao"
    claims: dict[str, Any] = field(default_factory=dict)
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one"}))
    signing_key: RSAKey | None = None
    codes: dict[str, Code] = field(default_factory=dict)


@dataclass
class Code(AuthorizationCodeMixin):  # type: ignore[misc]
    redirect_uri: str
    scope: str
    nonce: str
    code_challenge: str
    code_challenge_method: str

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope

    def get_nonce(self) -> str:
        return self.nonce

    def get_auth_time(self) -> int:
        return int(time.time())

    def get_acr(self) -> None:
        return None

    def get_amr(self) -> None:
        return None


class Client(ClientMixin):  # type: ignore[misc]
    def __init__(self, idp: Idp) -> None:
        self._idp = idp

    def get_client_id(self) -> str:
        return CLIENT

    def get_default_redirect_uri(self) -> str:
        return self._idp.back

    def get_allowed_scope(self, scope: str) -> str:
        return scope

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri == self._idp.back

    def check_client_secret(self, client_secret: str) -> bool:
        return client_secret == SECRET

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == "client_secret_basic"

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == "authorization_code"


class _Request(OAuth2Request):  # type: ignore[misc]
    def __init__(self, method: str, path: str, form: dict[str, str], headers: dict[str, str]) -> None:
        # The server insists on TLS, which loopback has not.
        super().__init__(method, f"https://idp.test{path}", headers=headers)
        self._args, self._form = dict(parse_qsl(urlsplit(path).query)), form
        self.payload = BasicOAuth2Payload({**self._args, **form})

    @property
    def args(self) -> dict[str, str]:
        return self._args

    @property
    def form(self) -> dict[str, str]:
        return self._form


def _make_server(idp: Idp) -> Any:
    class Server(AuthorizationServer):  # type: ignore[misc]
        def query_client(self, client_id: str) -> Client | None:
            return Client(idp) if client_id == CLIENT else None

        def save_token(self, token: dict[str, Any], request: OAuth2Request) -> None:
            pass

        def create_oauth2_request(self, request: OAuth2Request) -> OAuth2Request:
            return request

        def handle_response(self, status: int, body: Any, headers: Any) -> tuple[int, Any, Any]:
            return status, body, headers

        def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
            pass

    class Grant(AuthorizationCodeGrant):  # type: ignore[misc]
        TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic"]  # noqa: RUF012

        def save_authorization_code(self, code: str, request: OAuth2Request) -> None:
            sent = request.payload.data
            idp.codes[code] = Code(
                sent["redirect_uri"], sent["scope"], sent["nonce"], sent["code_challenge"],
                sent["code_challenge_method"],
            )  # fmt: skip

        def query_authorization_code(self, code: str, client: Client) -> Code | None:
            return idp.codes.get(code)

        def delete_authorization_code(self, authorization_code: Code) -> None:
            idp.codes = {code: kept for code, kept in idp.codes.items() if kept is not authorization_code}

        def authenticate_user(self, authorization_code: Code) -> str:
            return idp.person

    class OpenId(OpenIDCode):  # type: ignore[misc]
        def exists_nonce(self, nonce: str, request: OAuth2Request) -> bool:
            return any(code.nonce == nonce for code in idp.codes.values())

        def resolve_client_private_key(self, client: Client) -> RSAKey:
            return idp.signing_key or idp.key

        def get_client_algorithm(self, client: Client) -> str:
            return "RS256"

        def get_encode_header(self, client: Client) -> dict[str, str]:
            return {"alg": "RS256", "kid": "one"}

        def get_client_claims(self, client: Client) -> dict[str, Any]:
            return {"iss": idp.url, "aud": [CLIENT]}

        def generate_user_info(self, user: str, scope: str) -> dict[str, Any]:
            return {"sub": user, **idp.claims}

    server = Server()
    server.register_token_generator("default", BearerTokenGenerator(lambda *a, **k: "access-" + "x" * 30))
    server.register_grant(Grant, [CodeChallenge(required=True), OpenId(require_nonce=True)])
    return server


def serve(idp: Idp) -> ThreadingHTTPServer:
    """Start the provider; its address is in ``idp.url`` afterwards."""
    server = _make_server(idp)

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            pass

        def _send(self, status: int, body: Any, headers: Any) -> None:
            data = json.dumps(body).encode() if isinstance(body, dict) else str(body or "").encode()
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_GET(self) -> None:
            page = urlsplit(self.path).path
            if page == "/.well-known/openid-configuration":
                found = {"issuer": idp.url, "jwks_uri": f"{idp.url}/keys"}
                found |= {f"{name}_endpoint": f"{idp.url}/{name}" for name in ("authorization", "token")}
                self._send(200, found, [("Content-Type", "application/json")])
            elif page == "/keys":
                keys = {"keys": [idp.key.as_dict(private=False)]}
                self._send(200, keys, [("Content-Type", "application/json")])
            else:
                request = _Request("GET", self.path, {}, dict(self.headers))
                grant = server.get_consent_grant(request, end_user=idp.person)
                self._send(*server.create_authorization_response(request, grant_user=idp.person, grant=grant))

        def do_POST(self) -> None:
            form = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
            self._send(*server.create_token_response(_Request("POST", self.path, form, dict(self.headers))))

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    idp.url = f"http://127.0.0.1:{listening.server_address[1]}"
    Thread(target=listening.serve_forever, daemon=True).start()
    return listening
