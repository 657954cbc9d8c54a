"""A WeChat service account: a message enters, one subscription notice to one follower leaves.

The address is the follower's openid, bound by a QR code or a code she sends. Each consent she gives in WeChat is
good for one notice (or for good, where the template is of the long-term kind): without one the platform answers
43101 and the next channel is used. Source: WeChat documentation, "send a subscription notice" (bizsend), "stable
access token", "account QR code" and "subscription events" (errcode in a body of status 200).
"""

from __future__ import annotations

from urllib.parse import quote

from pydantic import SecretStr
from pydantic_settings import SettingsConfigDict

from alerts.channels import Channel, ChannelSettingsError, DeliveryError, Message, Receipt, Traits
from alerts.sending.outgoing import Line, judge_status, open_line, parse_json
from alerts.sending.refusals import Refusals
from alerts.sending.tokens import AccessToken
from kaimen.settings import AlertsSettings, ChannelSettings

_REFUSALS = Refusals(
    temporary={"-1", "40001", "40014", "42001"},
    throttled={"45009": 3_600, "45011": 60},
)
_TOKEN_GONE = frozenset({40001, 40014, 42001})
#: A "thing" of a template holds twenty characters, a "character_string" thirty-two.
_THING_LENGTH_MAX = 20
_WORDS = {"zh-CN": "有一件事需要您查看", "en": "Please have a look"}


class Settings(ChannelSettings):
    model_config = SettingsConfigDict(env_prefix="KAIMEN_WECHAT_", frozen=True, extra="ignore")

    app_id: str | None = None
    app_secret: SecretStr | None = None
    template_id: str | None = None
    #: The template's fields for the case number and for the words.
    number_field: str = "character_string1"
    words_field: str = "thing2"
    #: What the account's server sends its callbacks with; the same text stands in the account's own settings.
    callback_token: SecretStr | None = None
    url: str = "https://api.weixin.qq.com"


class WechatChannel:
    """Sends notices and makes the QR codes by which followers bind themselves."""

    name = "wechat"
    traits = Traits(personal=True)

    def __init__(self, line: Line, own: Settings) -> None:
        self._line = line
        self._own = own
        self._token = AccessToken(self._fetch)
        self.is_real = line.is_real

    def _fetch(self) -> tuple[str, int]:
        body = {
            "grant_type": "client_credential",
            "appid": self._own.app_id,
            "secret": self._own.app_secret.get_secret_value() if self._own.app_secret else "",
        }
        try:
            answer = self._line.post_json("/cgi-bin/stable_token", body)
        except DeliveryError as error:
            # Nothing was sent to anybody yet: whatever happened to this request, there is no doubt.
            raise DeliveryError(str(error), permanent=error.permanent) from None
        judge_status(answer)
        found = parse_json(answer)
        if not found.get("access_token"):
            raise _REFUSALS.error(found.get("errcode"))
        return str(found["access_token"]), int(found.get("expires_in", 0))

    def deliver(self, message: Message) -> Receipt:
        if not message.address:
            raise DeliveryError("nobody has bound this account", permanent=True)
        words = _WORDS.get(message.language, _WORDS["zh-CN"])[:_THING_LENGTH_MAX]
        body = {
            "touser": message.address,
            "template_id": self._own.template_id,
            "page": message.link,
            "data": {
                self._own.number_field: {"value": message.number},
                self._own.words_field: {"value": words},
            },
        }
        found = self._call("/cgi-bin/message/subscribe/bizsend", body, message.sent_s)
        if "errcode" not in found:
            raise DeliveryError("an answer that is none", permanent=False, uncertain=True)
        return Receipt("accepted", provider_id=str(found.get("msgid") or "") or None)

    def make_scene(self, scene: str, *, lives_s: int, now_s: int) -> str:
        """Return what a QR code must hold so that whoever scans it follows the account and sends ``scene`` to us."""
        body = {
            "expire_seconds": lives_s,
            "action_name": "QR_STR_SCENE",
            "action_info": {"scene": {"scene_str": scene}},
        }
        return str(self._call("/cgi-bin/qrcode/create", body, now_s).get("url", ""))

    def _call(self, path: str, body: object, now_s: int) -> dict[str, object]:
        token = self._token.get(now_s)
        answer = self._line.post_json(f"{path}?access_token={quote(token, safe='')}", body)
        judge_status(answer)
        found = parse_json(answer)
        code = found.get("errcode", 0)
        if code in _TOKEN_GONE:
            self._token.forget(token)
        if code != 0:
            raise _REFUSALS.error(code)
        return found


def open_channel(settings: AlertsSettings, own: Settings | None = None) -> Channel | None:
    own = own or Settings()
    if own.app_id is None:
        return None
    if own.app_secret is None or own.template_id is None:
        raise ChannelSettingsError("KAIMEN_WECHAT_APP_ID needs KAIMEN_WECHAT_APP_SECRET and _TEMPLATE_ID too")
    return WechatChannel(open_line(own.url, settings, "KAIMEN_WECHAT_URL"), own)
