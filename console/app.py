"""The console as one ASGI application: settings, clocks and a pool enter, an app leaves."""

from __future__ import annotations

import asyncio
import contextlib
import time
import traceback
from collections.abc import AsyncIterator, Sequence
from urllib.parse import urlsplit

import psycopg
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest
from psycopg_pool import PoolTimeout
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from console import inbound, stream, voice_reports
from console.api import description as openapi
from console.api import routes as api
from console.api.answering import error_response
from console.api.kept import KeptListLayer
from console.audit.noting import note_end
from console.identity import sessions as identity
from console.metrics import REQUEST_SECONDS, REQUESTS
from console.pages import (
    absences,
    access_log,
    account,
    account_tokens,
    admin,
    agreement_numbers,
    agreements,
    alarms,
    audits,
    buildings,
    case,
    channels,
    committee,
    communities,
    consents,
    desk_notes,
    device_tests,
    devices,
    doors,
    dry_run,
    duty,
    duty_deputies,
    duty_rosters,
    family,
    figures,
    held,
    home_phone,
    household,
    household_books,
    household_cards,
    household_exchange,
    household_leases,
    household_list,
    kiosk,
    kiosks,
    look_back,
    look_up,
    looked,
    morning,
    morning_early,
    people,
    people_phones,
    place,
    police,
    policies,
    portfolio,
    quarantine,
    relatives,
    resident,
    resident_cards,
    retention,
    rights,
    second_person,
    seen,
    sessions,
    sign_in,
    sign_in_code,
    sign_in_outer,
    sign_in_sent,
    tasks,
    technical,
    tickets,
    transparency,
    visit,
    visit_photos,
    voices,
    watchdog,
    why,
)
from console.rights.ledger import LedgerError
from console.seat import (
    MUST_URLS,
    MustFirstError,
    RefusedError,
    SignInNeededError,
    error_page,
    path_of,
    secure_cookies,
)
from console.security import SecurityLayer, is_loopback
from console.services import Services, read_factor_rule, services_of
from console.static_files import STATIC_FOLDER, CachedStaticFiles
from console.way_back import asks_for_page, page_above
from kaimen import __version__
from kaimen.clock import Clock, SystemClock
from kaimen.database import Pool, queries, why_away
from kaimen.fence import SchemaFencedError, enter
from kaimen.logs import get_logger
from kaimen.settings import ConsoleSettings

FRESH_WITHIN_S = 30.0
FRESH_WITHIN_MS = 2_000
FORGET_EVERY_S = 600.0
log = get_logger()

_PAGES = (
    # A new home goes before a home's own page: "new" is nobody's id.
    alarms, case, morning, tasks, household_books, household_cards, household_leases, household_list, household_exchange, household, home_phone, family, police, buildings, technical, sign_in, sign_in_code, sign_in_sent, sign_in_outer,
    account, account_tokens, people, people_phones, morning_early, absences, why, consents, access_log, doors, devices, device_tests, policies, agreements, agreement_numbers, second_person, quarantine, look_up, tickets, audits, transparency, looked, admin, sessions, channels, relatives,
    seen, visit, visit_photos, watchdog, figures, duty, duty_deputies, duty_rosters, dry_run, look_back,
    place, portfolio, committee, communities, resident, resident_cards, desk_notes, kiosk, kiosks, held,
    rights, retention, voices,
)  # fmt: skip


def create_app(settings: ConsoleSettings, clock: Clock, pool: Pool, *, wall: Clock | None = None) -> FastAPI:
    """Build the console. ``wall`` is the clock of sessions; the machine's where none is given."""
    hub = stream.Hub()
    services = Services(
        settings,
        clock,
        wall or SystemClock(),
        pool,
        hub,
        read_audit_key(settings),
        read_factor_rule(settings),
    )

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        hub.started_in(asyncio.get_running_loop())
        tasks_running = [
            asyncio.create_task(stream.listen(hub, settings.database_url, services.audit_key), name="stream"),
            asyncio.create_task(_forget_expired(services), name="forget"),
            asyncio.create_task(services.lane.keep_open(), name="lists"),
        ]
        try:
            yield
        finally:
            hub.stop()
            for task in tasks_running:
                task.cancel()
            await asyncio.gather(*tasks_running, return_exceptions=True)

    app = FastAPI(
        title="Kaimen",
        version=__version__,
        lifespan=lifespan,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
    )
    app.state.services = services
    # Routes are tried in their order, and each costs: what is asked most often stands first.
    for part in api.ROUTERS:
        _serve(app, part.routes)
    app.mount("/static", CachedStaticFiles(STATIC_FOLDER), name="static")
    _add_probes(app)
    for page in _PAGES:
        _serve(app, page.router.routes)
    if settings.demo:
        _add_demo(app, services)
    for router in (openapi.router, inbound.router, voice_reports.router):
        _serve(app, router.routes)
    _add_error_handlers(app)
    app.add_middleware(KeptListLayer, services=services)
    # The last one added is the outermost: headers and bounds hold for every answer, errors included.
    app.add_middleware(ErrorLayer)
    app.add_middleware(SecurityLayer, secure=secure_cookies(services), page=_too_much)
    return app


def _serve(app: FastAPI, routes: Sequence[BaseRoute]) -> None:
    """Serve a router's routes as they stand.

    To include the router would be to build each a second time, when the first request comes that has to be matched
    against it: half a second for all of them, and a detour at each request after that.
    """
    app.routes.extend(routes)


def _add_demo(app: FastAPI, services: Services) -> None:
    """The page for breaking things, and the clock that slows down for readers: in a demo alone."""
    from console.pages import demo, demo_readers

    _serve(app, demo.router.routes)
    app.add_middleware(demo_readers.SlowWhileRead, services=services)


def read_audit_key(settings: ConsoleSettings) -> bytes:
    """Return the key of the audit chain, which lies outside the database; empty where none is set."""
    path = settings.console_secret_file
    return b"" if path is None else path.read_bytes().strip()


async def _forget_expired(services: Services) -> None:
    def forget() -> None:
        with services.transaction() as connection:
            identity.forget_expired(connection, now=services.wall_now())
            kiosk.forget_presses(connection, now=services.wall_now())
            if services.settings.console_checkpoints is not None:
                path = services.settings.console_checkpoints
                note_end(connection, path, services.audit_key, now=services.wall_now())
        rights.sync_ledger(services)

    while True:
        try:
            await asyncio.to_thread(forget)
        except (psycopg.OperationalError, PoolTimeout, OSError, LedgerError) as error:
            log.warning(
                "expired sessions, a checkpoint or the ledger of rights wait", error=type(error).__name__
            )
        await asyncio.sleep(FORGET_EVERY_S)


# --- Probes ----------------------------------------------------------------------------------------------------


def _add_probes(app: FastAPI) -> None:
    @app.get("/healthz")
    def healthz() -> dict[str, bool]:
        """The process answers; whether it can do its work is readyz' question."""
        return {"healthy": True}

    @app.get("/readyz")
    def readyz(request: Request) -> Response:
        ready, detail = look_ready(services_of(request))
        return JSONResponse({"ready": ready, **detail}, 200 if ready else 503)

    @app.get("/metrics")
    def metrics(request: Request) -> Response:
        host = request.client.host if request.client else None
        if not is_loopback(host, request.headers):
            raise RefusedError(404)
        return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)


def look_ready(services: Services) -> tuple[bool, dict[str, str]]:
    """Say whether the database answers and ingest and alerts keep up with the clock."""
    now_ms = services.clock.now_ms()
    try:
        with services.pool.connection(timeout=2) as connection:
            rows = connection.execute(queries("console")["progress"]).fetchall()
            enter(connection)
    except SchemaFencedError:
        return False, {"database": "ok", "schema": "another version"}
    except (psycopg.Error, PoolTimeout):
        return False, {"database": "away"}
    detail = {"database": "ok"}
    at_by_service = {row["service"]: row["at"] for row in rows}
    for service in ("ingest", "alerts"):
        at = at_by_service.get(service)
        if at is None:
            detail[service] = "never"
            continue
        behind_ms = now_ms - round(at.timestamp() * 1000)
        fresh = behind_ms <= FRESH_WITHIN_MS or services.clock.wall_seconds(behind_ms) <= FRESH_WITHIN_S
        detail[service] = "ok" if fresh else "behind"
    return set(detail.values()) == {"ok"}, detail


# --- Errors ----------------------------------------------------------------------------------------------------


def _wants_json(request: Request) -> bool:
    return request.url.path.startswith("/api/")


def _wants_status(request: Request) -> bool:
    """Say whether a script of our own pages asks: where it is led to another page, it cannot tell why."""
    path = request.url.path
    return (
        _wants_json(request)
        or path in ("/stream", "/sessions/here")
        or path.startswith("/field/")
        or "fragment" in request.query_params
    )


def answer_error(
    request: Request, status: int, *, code: str | None = None, detail: str = "", mend: str = ""
) -> Response:
    """An error as a page in the reader's language, or as JSON for programs."""
    if _wants_json(request):
        return error_response(status, code, detail, mend)
    return error_page(request, status, code)


def _asked_before(request: Request) -> str:
    """Say where to go after signing in, and, of a form that was sent, that it was not taken."""
    if request.method == "GET":
        return f"?next={_quoted(path_of(request))}" if request.url.path != "/" else ""
    if request.url.path == "/sign-out":
        return ""
    came_from = urlsplit(request.headers.get("referer", ""))
    same = came_from.netloc == request.url.netloc and came_from.path.startswith("/")
    page = came_from.path + (f"?{came_from.query}" if came_from.query else "")
    return "?lost=1" + (f"&next={_quoted(page)}" if same else "")


def _too_much(scope: Scope, status: int) -> ASGIApp:
    return error_page(Request(scope), status)


def _add_error_handlers(app: FastAPI) -> None:
    @app.exception_handler(SignInNeededError)
    def sign_in_needed(request: Request, _error: SignInNeededError) -> Response:
        if _wants_status(request):
            return error_response(401)
        return RedirectResponse(f"/sign-in{_asked_before(request)}", 303)

    @app.exception_handler(MustFirstError)
    def must_first(request: Request, error: MustFirstError) -> Response:
        if _wants_status(request):
            return error_response(403, f"{error.must.value}_due")
        return RedirectResponse(MUST_URLS[error.must], 303)

    @app.exception_handler(RefusedError)
    def refused(request: Request, error: RefusedError) -> Response:
        return answer_error(request, error.status, code=error.word)

    @app.exception_handler(SchemaFencedError)
    def fenced(request: Request, _error: SchemaFencedError) -> Response:
        log.error("the database was migrated past this program: it takes nothing more; start the newer one")
        return answer_error(request, 503, code="upgraded")

    @app.exception_handler(HTTPException)
    def http_error(request: Request, error: HTTPException) -> Response:
        if error.status_code == 405 and asks_for_page(request) and not _wants_json(request):
            return RedirectResponse(page_above(request), 303)
        response = answer_error(request, error.status_code)
        for name, value in (error.headers or {}).items():
            response.headers[name] = value
        return response

    @app.exception_handler(RequestValidationError)
    def not_valid(request: Request, error: RequestValidationError) -> Response:
        places = sorted({".".join(str(part) for part in found["loc"][1:]) for found in error.errors()})
        return answer_error(request, 422, code="not_valid", detail=", ".join(places))


def _quoted(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="/")


class ErrorLayer:
    """What nobody foresaw: counted, logged without a value of anybody's data, answered without a trace."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.monotonic()
        status = 0

        async def send_counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                area = _area(scope)
                REQUESTS.labels(area=area, status=str(status)).inc()
                REQUEST_SECONDS.labels(area=area).observe(time.monotonic() - begun)
            await send(message)

        try:
            await self._app(scope, receive, send_counted)
        except (psycopg.OperationalError, PoolTimeout) as error:
            log.warning("the database is away", error=why_away(error))
            if status:
                raise
            await answer_error(Request(scope), 503)(scope, receive, send_counted)
        except psycopg.DataError as error:
            # A value no column takes, a NUL in a text above all: the sender's to mend.
            log.info("a value was refused by the database", error=type(error).__name__)
            if status:
                raise
            await answer_error(Request(scope), 422, code="not_valid")(scope, receive, send_counted)
        except Exception as error:  # noqa: BLE001 - the last place before the wire
            # Frames without the message: a database error quotes the row it was about.
            frames = "".join(traceback.format_tb(error.__traceback__)[-8:])
            log.error(
                "a request failed", error=type(error).__name__, exception=frames, code=_request_id(scope)
            )
            if not status:
                await answer_error(Request(scope), 500)(scope, receive, send_counted)


def _request_id(scope: Scope) -> str:
    return str(scope.get("state", {}).get("request_id", ""))


def _area(scope: Scope) -> str:
    """A label of few values: the module that answered."""
    endpoint = scope.get("endpoint")
    module = getattr(endpoint, "__module__", "")
    return module.rpartition(".")[2] if module.startswith("console") else "other"
