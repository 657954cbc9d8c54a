"""What other systems call back: receipts, replies and notices enter, each only with its own proof; a short word leaves.

Nobody is signed in here. Aliyun and Tencent sign nothing, so each of them has an address with a secret of its own; WeChat signs with its
token; receivers of our webhooks sign as Standard Webhooks says; Alertmanager shows the secret as a bearer token.
What cannot be read is refused with what is wrong; what speaks of no message of ours is accepted and forgotten, as
providers repeat what they are refused. The body is read by the loop, the database is asked in a thread.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from typing import Annotated, Any
from xml.etree import ElementTree

from fastapi import APIRouter, Path, Request
from prometheus_client import Counter
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, PlainTextResponse, Response

from alerts.channels.webhook import parse_secret, sign
from alerts.notices import take_notice
from alerts.sending.outbox import ReceiptState, take_receipt
from console import binding
from console.inbound_paths import has_path, is_path
from console.pages.channels import book_of
from console.seat import RefusedError
from console.services import Services, services_of
from kaimen.database import Connection, queries
from kaimen.logs import get_logger

router = APIRouter(prefix="/in")
log = get_logger()

TOLERANCE_S = 300
SECRET_LENGTH_MIN = 24
ROWS_MAX = 500
INBOUND = Counter("kaimen_console_inbound_total", "Calls of other systems", ["source", "result"])

_SQL = queries("console", "channels.sql")
_WORD = re.compile(r"[^A-Za-z0-9_.-]")
Secret = Annotated[str, Path(max_length=200)]

_WEBHOOK_STATES: Mapping[str, ReceiptState] = {
    "message.delivered": "delivered",
    "message.answered": "answered",
    "message.confirmed": "confirmed",
    "message.failed": "failed",
}


def _refuse(source: str, status: int = 403) -> RefusedError:
    INBOUND.labels(source, "refused").inc()
    return RefusedError(status)


def _check_secret(services: Services, shown: str, source: str) -> None:
    """Let nobody in without the secret; where none is set, nobody at all, and the address is not there."""
    secret = services.settings.inbound_secret
    if secret is None or len(secret.get_secret_value()) < SECRET_LENGTH_MIN:
        raise _refuse(source, 404)
    if not hmac.compare_digest(shown.encode(), secret.get_secret_value().encode()):
        raise _refuse(source)


def _check_path(services: Services, shown: str, provider: str) -> None:
    """Let a provider in by its own address, or by the secret of the settings; without either it is not there."""
    wall = services.wall_now()
    with services.transaction() as connection:
        if is_path(connection, provider, shown, wall=wall):
            return
        known = has_path(connection, provider, wall=wall)
    secret = services.settings.inbound_secret
    if known and (secret is None or len(secret.get_secret_value()) < SECRET_LENGTH_MIN):
        raise _refuse(provider)
    _check_secret(services, shown, provider)


async def _json(request: Request, source: str) -> Any:
    try:
        return json.loads(await request.body())
    except ValueError:
        raise _refuse(source, 400) from None


def _rows(found: Any, source: str) -> list[dict[str, Any]]:
    rows = found if isinstance(found, list) else [found]
    if len(rows) > ROWS_MAX or not all(isinstance(row, dict) for row in rows):
        raise _refuse(source, 400)
    return rows


def _take(services: Services, channel: str, receipts: list[tuple[str, str, ReceiptState, str]]) -> None:
    """Write receipts of (key, provider's id, state, detail); a code of the provider's is all that is kept of words."""
    now = services.now()
    with services.transaction() as connection:
        for key, provider_id, state, detail in receipts:
            known = take_receipt(
                connection, channel=channel, key=key, provider_id=provider_id, state=state, now=now,
                detail=_WORD.sub("", detail)[:60],
            )  # fmt: skip
            INBOUND.labels(channel, "taken" if known else "unknown").inc()


# --- SMS -----------------------------------------------------------------------------------------------------------


@router.post("/sms-aliyun/{secret}")
async def sms_aliyun(request: Request, secret: Secret) -> Response:
    """Delivery reports as Aliyun pushes them: a list of numbers with ``out_id``, ``biz_id`` and ``success``."""
    services = services_of(request)
    await run_in_threadpool(_check_path, services, secret, "sms_aliyun")
    rows = _rows(await _json(request, "sms_aliyun"), "sms_aliyun")
    receipts: list[tuple[str, str, ReceiptState, str]] = [
        (
            str(row.get("out_id") or ""), str(row.get("biz_id") or ""),
            "delivered" if row.get("success") in (True, "true") else "failed", str(row.get("err_code") or ""),
        )
        for row in rows
    ]  # fmt: skip
    await run_in_threadpool(_take, services, "sms_aliyun", receipts)
    return JSONResponse({"code": 0, "msg": "ok"})


@router.post("/sms-tencent/{secret}")
async def sms_tencent(request: Request, secret: Secret) -> Response:
    """Delivery reports as Tencent pushes them: a list with ``sid`` and ``report_status``."""
    services = services_of(request)
    await run_in_threadpool(_check_path, services, secret, "sms_tencent")
    rows = _rows(await _json(request, "sms_tencent"), "sms_tencent")
    receipts: list[tuple[str, str, ReceiptState, str]] = [
        (
            str(row.get("ext") or ""), str(row.get("sid") or ""),
            "delivered" if row.get("report_status") == "SUCCESS" else "failed", str(row.get("errmsg") or ""),
        )
        for row in rows
    ]  # fmt: skip
    await run_in_threadpool(_take, services, "sms_tencent", receipts)
    return JSONResponse({"result": 0, "errmsg": "OK"})


# --- WeChat --------------------------------------------------------------------------------------------------------


def check_wechat(token: str, query: Mapping[str, str], *, now_s: int) -> bool:
    """Say whether WeChat's signature of a call fits, and the call is of now."""
    timestamp, nonce = query.get("timestamp", ""), query.get("nonce", "")
    if not timestamp.isdecimal() or abs(int(timestamp) - now_s) > TOLERANCE_S:
        return False
    wanted = hashlib.sha1("".join(sorted((token, timestamp, nonce))).encode()).hexdigest()  # noqa: S324 - theirs
    return hmac.compare_digest(wanted, query.get("signature", ""))


def _check_wechat(request: Request) -> Services:
    services = services_of(request)
    token = services.settings.wechat_callback_token
    if token is None:
        raise _refuse("wechat", 404)
    now_s = int(services.wall_now().timestamp())
    if not check_wechat(token.get_secret_value(), request.query_params, now_s=now_s):
        raise _refuse("wechat")
    return services


@router.get("/wechat")
def wechat_hello(request: Request) -> Response:
    """What WeChat asks once when the address is entered in its settings."""
    _check_wechat(request)
    return PlainTextResponse(request.query_params.get("echostr", "")[:100])


@router.post("/wechat")
async def wechat(request: Request) -> Response:
    """Follow, scan, unfollow and texts: a code binds the follower, nothing else is kept."""
    services = _check_wechat(request)
    found = _parse_xml(await request.body())
    openid, event = found.get("FromUserName", ""), found.get("Event", "").lower()
    code = found.get("EventKey", "").removeprefix("qrscene_")
    if found.get("MsgType") == "text":
        code = found.get("Content", "")
    if openid and event == "unsubscribe":
        await run_in_threadpool(_unfollow, services, openid)
    elif openid and code:
        if not await run_in_threadpool(_bind_wechat, services, openid, code):
            return PlainTextResponse("success")
        INBOUND.labels("wechat", "taken").inc()
        return Response(_reply(found, services), media_type="application/xml")
    return PlainTextResponse("success")


def _parse_xml(body: bytes) -> dict[str, str]:
    # No document type, so no entities: WeChat sends none.
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        raise _refuse("wechat", 400)
    try:
        root = ElementTree.fromstring(body)  # noqa: S314 - entities are refused above
    except ElementTree.ParseError:
        raise _refuse("wechat", 400) from None
    return {child.tag: (child.text or "").strip() for child in root}


def _bind_wechat(services: Services, openid: str, code: str) -> bool:
    with services.transaction() as connection:
        owner = binding.find_owner(connection, code, "scene", wall=services.wall_now(), use=True)
        if owner is None:
            return False
        try:
            binding.add_address(
                connection, book_of(services), owner, "wechat", openid, now=services.now(), added_by="self",
                is_proven=True,
            )  # fmt: skip
        except binding.BindingError:
            return False
    return True


def _unfollow(services: Services, openid: str) -> None:
    with services.transaction() as connection:
        address_hash = book_of(services).find_hash("wechat", openid)
        connection.execute(_SQL["end_wechat"], {"address_hash": address_hash, "now": services.now()})


def _reply(found: Mapping[str, str], services: Services) -> str:
    def cdata(text: str) -> str:
        return f"<![CDATA[{text.replace(']]>', '')}]]>"

    return (
        f"<xml><ToUserName>{cdata(found.get('FromUserName', ''))}</ToUserName>"
        f"<FromUserName>{cdata(found.get('ToUserName', ''))}</FromUserName>"
        f"<CreateTime>{int(services.wall_now().timestamp())}</CreateTime><MsgType><![CDATA[text]]></MsgType>"
        f"<Content>{cdata('已绑定。We can reach you here now.')}</Content></xml>"
    )


# --- Standard Webhooks ---------------------------------------------------------------------------------------------


@router.post("/webhook")
async def webhook(request: Request) -> Response:
    """Receipts of whoever receives our webhooks, signed with the same secret: ``type`` and ``data.id``, our key."""
    services = services_of(request)
    if services.settings.alerts_webhook_secret is None:
        raise _refuse("webhook", 404)
    body = await request.body()
    now_s = int(services.wall_now().timestamp())
    if not check_webhook(services.settings.alerts_webhook_secret, request.headers, body, now_s=now_s):
        raise _refuse("webhook")
    found = await _json(request, "webhook")
    data = found.get("data") if isinstance(found, dict) else None
    state = _WEBHOOK_STATES.get(str(found.get("type"))) if isinstance(found, dict) else None
    if state is None or not isinstance(data, dict):
        raise _refuse("webhook", 422)
    await run_in_threadpool(
        _take, services, "webhook", [(str(data.get("id") or ""), "", state, str(data.get("code") or ""))]
    )
    return Response(status_code=204)


def check_webhook(secret: str, headers: Mapping[str, str], body: bytes, *, now_s: int) -> bool:
    """Say whether one of the signatures fits and the call is of now."""
    message_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not message_id or not timestamp.isdecimal() or abs(int(timestamp) - now_s) > TOLERANCE_S:
        return False
    wanted = sign(parse_secret(secret), message_id=message_id, timestamp_s=int(timestamp), body=body)
    shown = headers.get("webhook-signature", "").split()
    return any(hmac.compare_digest(wanted.encode(), item.encode()) for item in shown)


# --- Alertmanager --------------------------------------------------------------------------------------------------


@router.post("/alertmanager")
async def alertmanager(request: Request) -> Response:
    """Alertmanager's webhook, version 4: one technical case for each of its groups, until the group is resolved."""
    services = services_of(request)
    scheme, _, shown = request.headers.get("authorization", "").partition(" ")
    _check_secret(services, shown if scheme.lower() == "bearer" else "", "alertmanager")
    found = await _json(request, "alertmanager")
    name, is_over = _parse_group(found)
    await run_in_threadpool(_take_notice, services, name, is_over)
    INBOUND.labels("alertmanager", "taken").inc()
    return JSONResponse({"taken": name})


def _take_notice(services: Services, name: str, is_over: bool) -> None:
    with services.transaction() as connection:
        community_id = _notice_community(connection, services)
        take_notice(connection, community_id=community_id, name=name, is_over=is_over, now=services.now())


def _parse_group(found: Any) -> tuple[str, bool]:
    if (
        not isinstance(found, dict)
        or found.get("version") != "4"
        or found.get("status") not in ("firing", "resolved")
    ):
        raise _refuse("alertmanager", 422)
    labels = found.get("commonLabels")
    alertname = str(labels.get("alertname", "")) if isinstance(labels, dict) else ""
    group = hashlib.sha256(str(found.get("groupKey", "")).encode()).digest()
    short = base64.b32encode(group).decode().lower()[:6]
    return f"{_WORD.sub('', alertname)[:40] or 'alert'}-{short}", found["status"] == "resolved"


def _notice_community(connection: Connection, services: Services) -> str:
    args = {"id": services.settings.inbound_community}
    row = connection.execute(_SQL["notice_community"], args).fetchone()
    if row is None:
        log.error("technical notices need KAIMEN_INBOUND_COMMUNITY: there are several communities, or none")
        raise _refuse("alertmanager", 409)
    return str(row["id"])
