"""What voice providers report: a call-back enters, its report and the pressed key, committed, leave; then the thanks.

Nobody signs in here. Twilio signs; the others are told an address with a secret in it. What is not theirs gets the
answer of a page that does not exist. A key pressed is written before it is answered, so what is said is true.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable
from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import APIRouter, Path, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from alerts.voice import aliyun, tencent, twilio
from alerts.voice.answers import SAID, Effect, take_digit
from alerts.voice.cloud import SECRET_LENGTH_MIN, Report, ReportSettings, find_attempt, write_report
from alerts.voice.wording import language_of
from console.metrics import VOICE_REPORTS
from console.services import Services, services_of
from kaimen.database import queries

router = APIRouter()
_SQL = queries("alerts.voice")
_REPORTS_MAX = 500
Key = Annotated[str, Path(pattern=r"^[a-z0-9_]{1,80}-[0-9]{1,5}$")]


def _nothing_here() -> Response:
    return Response(status_code=404)


@router.post("/voice/aliyun/{secret}")
async def from_aliyun(request: Request, secret: str) -> Response:
    """Voice reports, in batches; the provider sends them again until it reads code 0."""
    body = await _json_of(request, secret)
    if body is None:
        return _nothing_here()
    await run_in_threadpool(_take_all, services_of(request), "aliyun", tuple(aliyun.parse_reports(body)))
    return JSONResponse({"code": 0, "msg": "ok"})


@router.post("/voice/tencent/{secret}")
async def from_tencent(request: Request, secret: str) -> Response:
    """Call-backs of keys and of ends."""
    body = await _json_of(request, secret)
    if body is None:
        return _nothing_here()
    await run_in_threadpool(_take_all, services_of(request), "tencent", tuple(tencent.parse_reports(body)))
    return JSONResponse({"result": 0, "errmsg": "OK"})


@router.post("/voice/twilio/{key}")
async def from_twilio(request: Request, key: Key) -> Response:
    """A key, answered with what is said about it; or the end of a call."""
    fields = dict(parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True))
    services = services_of(request)
    token = twilio.Settings().auth_token
    url = twilio.report_url(services.settings.public_url, key)
    signature = request.headers.get("x-twilio-signature", "")
    if token is None or not twilio.is_signed(
        token=token.get_secret_value(), url=url, fields=fields, signature=signature
    ):
        return _nothing_here()
    reports = tuple(twilio.parse_reports(key, fields))
    text = await run_in_threadpool(_answer_twilio, services, key, url, reports)
    return Response(text, media_type="text/xml")


async def _json_of(request: Request, secret: str) -> object | None:
    wanted = ReportSettings().callback_secret
    if wanted is None or len(wanted.get_secret_value()) < SECRET_LENGTH_MIN:
        return None
    if not hmac.compare_digest(wanted.get_secret_value().encode(), secret.encode()):
        return None
    try:
        found: object = json.loads(await request.body())
    except ValueError:
        return None
    return found


def _take_all(services: Services, provider: str, reports: Iterable[Report]) -> list[Effect]:
    found = []
    for report in list(reports)[:_REPORTS_MAX]:
        effect = _take(services, report)
        VOICE_REPORTS.labels(provider=provider, kind=report.kind).inc()
        if effect is not None:
            found.append(effect)
    return found


def _take(services: Services, report: Report) -> Effect | None:
    """Write one report; a key is committed with it, whoever waits for it or not."""
    now, wall = services.now(), services.wall_now()
    with services.transaction() as connection:
        write_report(connection, report, wall)
        attempt = find_attempt(connection, report) if report.kind == "digit" else None
        if attempt is None:
            return None
        key, number = attempt
        return take_digit(
            connection, key=key, digit=report.value, attempt=number, now=now, wall=wall, digit_at=wall
        )


def _answer_twilio(services: Services, key: str, url: str, reports: Iterable[Report]) -> str:
    effects = _take_all(services, "twilio", reports)
    with services.transaction() as connection:
        row = connection.execute(_SQL["language_of_call"], {"key": key.rpartition("-")[0]}).fetchone()
    language = language_of(row["language"] if row else "zh")
    if not effects:
        return '<?xml version="1.0" encoding="UTF-8"?><Response/>'
    said = SAID[effects[-1]]
    if said is None:
        return twilio.format_said("again", language, again=url)
    return twilio.format_said(said, language)
