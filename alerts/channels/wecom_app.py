"""A WeCom application: a message enters, one text to one member leaves.

The address is the member's user id. The platform knows a repeated text to the same member again for four hours, so
a copy of an uncertain message does no harm. Source: WeCom documentation, "sending application messages" (status 200
with errcode 0 and the member among ``invaliduser`` has not sent anything either).
"""

from __future__ import annotations

from urllib.parse import quote

from pydantic import SecretStr
from pydantic_settings import SettingsConfigDict

from alerts.channels import (
    AfterDoubt,
    Channel,
    ChannelSettingsError,
    DeliveryError,
    Limit,
    Message,
    Receipt,
    Traits,
)
from alerts.sending.outgoing import Line, judge_status, open_line, parse_json
from alerts.sending.refusals import Refusals
from alerts.sending.tokens import AccessToken
from kaimen.settings import AlertsSettings, ChannelSettings

_REFUSALS = Refusals(
    temporary={"-1", "6000", "40014", "42001", "41001"},
    throttled={"45009": 60, "45033": 60},
)
_TOKEN_GONE = frozenset({40014, 42001})
_KNOWN_AGAIN_S = 4 * 3600


class Settings(ChannelSettings):
    model_config = SettingsConfigDict(env_prefix="KAIMEN_WECOM_APP_", frozen=True, extra="ignore")

    corp_id: str | None = None
    secret: SecretStr | None = None
    agent_id: int | None = None
    url: str = "https://qyapi.weixin.qq.com"


class WecomAppChannel:
    """Sends to members by their user id; 30 messages a minute to one member are the platform's bound."""

    name = "wecom_app"
    traits = Traits(
        limits=(Limit(1_000, 60),),
        person_limits=(Limit(30, 60), Limit(1_000, 3600)),
        after_doubt=AfterDoubt.RESEND,
        personal=True,
    )

    def __init__(self, line: Line, corp_id: str, secret: str, agent_id: int) -> None:
        self._line = line
        self._corp_id, self._secret, self._agent_id = corp_id, secret, agent_id
        self._token = AccessToken(self._fetch)
        self.is_real = line.is_real

    def _fetch(self) -> tuple[str, int]:
        corp_id, secret = quote(self._corp_id, safe=""), quote(self._secret, safe="")
        try:
            answer = self._line.get(f"/cgi-bin/gettoken?corpid={corp_id}&corpsecret={secret}")
        except DeliveryError as error:
            # Nothing was sent to anybody yet: whatever happened to this request, there is no doubt.
            raise DeliveryError(str(error), permanent=error.permanent) from None
        judge_status(answer)
        found = parse_json(answer)
        if found.get("errcode", 0) != 0 or not found.get("access_token"):
            raise _REFUSALS.error(found.get("errcode"))
        return str(found["access_token"]), int(found.get("expires_in", 0))

    def deliver(self, message: Message) -> Receipt:
        if not message.address:
            raise DeliveryError("no user id of the member", permanent=True)
        token = self._token.get(message.sent_s)
        body = {
            "touser": message.address,
            "msgtype": "text",
            "agentid": self._agent_id,
            "text": {"content": message.text()},
            "enable_duplicate_check": 1,
            "duplicate_check_interval": _KNOWN_AGAIN_S,
        }
        answer = self._line.post_json(f"/cgi-bin/message/send?access_token={quote(token, safe='')}", body)
        judge_status(answer)
        found = parse_json(answer)
        code = found.get("errcode")
        if code in _TOKEN_GONE:
            self._token.forget(token)
        if code != 0:
            raise _REFUSALS.error(code)
        if found.get("invaliduser") or found.get("unlicenseduser"):
            raise DeliveryError("refused: the member is not one of this application", permanent=True)
        return Receipt("accepted", provider_id=str(found.get("msgid", "")) or None)


def open_channel(settings: AlertsSettings, own: Settings | None = None) -> Channel | None:
    own = own or Settings()
    if own.corp_id is None:
        return None
    if own.secret is None or own.agent_id is None:
        raise ChannelSettingsError("KAIMEN_WECOM_APP_CORP_ID needs KAIMEN_WECOM_APP_SECRET and _AGENT_ID too")
    line = open_line(own.url, settings, "KAIMEN_WECOM_APP_URL")
    return WecomAppChannel(line, own.corp_id, own.secret.get_secret_value(), own.agent_id)
