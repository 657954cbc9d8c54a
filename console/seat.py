"""One request of one person: cookies, headers and forms enter, a seat with a viewer or a refusal leaves.

A seat is what every page function gets: who asks, at which instant, and how to answer in the reader's language.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from fastapi import Depends, Form, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from alerts.duty.roster import CommunityDuty, on_duty, stretches
from alerts.duty.store import load_duty
from console.audit.chain import Entry, append
from console.identity import sessions as identity
from console.identity.sessions import Must, Session
from console.loaders import Reader
from console.navigation import navigation
from console.packing import pack_page
from console.rendering import UnknownFragmentError, render
from console.scope import Section, Viewer, may_enter
from console.services import Services, services_of
from console.views import shell as shell_views
from console.views.parts import Phrase
from console.views.shell import Duty, Place, Position, Shell
from console.words import LANGUAGES, load_catalogue
from kaimen import __version__, fence
from kaimen.clock import FileClock
from kaimen.database import Connection, connect, queries, single, transaction
from kaimen.vocabulary import Role

LANGUAGE_COOKIE = "kaimen_language"
NOTICE_COOKIE = "kaimen_notice"
#: What a helper's phone sends when it fetches a page only to keep it for a stairwell without signal.
KEEPING_HEADER = "x-kaimen-keeping"
STATEMENT_TIMEOUT_MS = 10_000
OPEN_SCOPE = queries("console")["open_scope"]
ZONE_DEFAULT = "Asia/Shanghai"
#: Without a turn for this long the watchdog is silent itself.
WATCHDOG_SILENT_AFTER = timedelta(minutes=5)
_NOTICE = re.compile(r"[a-z_.]{1,60}\Z")
_IDENTITY = queries("console", "identity.sql")
_LIVE = {
    Section.ALARMS, Section.MORNING, Section.TASKS, Section.FAMILY, Section.POLICE, Section.TECHNICAL, Section.DEVICES, Section.BUILDINGS,
    Section.HOUSEHOLDS, Section.PORTFOLIO, Section.RESIDENT,
}  # fmt: skip


class SignInNeededError(Exception):
    """Nobody is signed in: pages lead to the sign-in page, the API says so."""


class MustFirstError(Exception):
    """Signed in, and something has to be done before anything else: a second factor, a password of one's own."""

    def __init__(self, must: Must) -> None:
        super().__init__(must.value)
        self.must = must


MUST_URLS = {Must.FACTOR: "/account/second-factor", Must.PASSWORD: "/account/password"}
#: What stays open meanwhile.
_MUST_OPEN = ("/account/second-factor", "/account/password", "/sign-out", "/language")


class RefusedError(Exception):
    """A page's own refusal in words; ``word`` stands below ``error.`` in the catalogues."""

    def __init__(self, status: int, word: str | None = None) -> None:
        super().__init__(word or str(status))
        self.status = status
        self.word = word


def not_here() -> RefusedError:
    """What is not there and what is not this reader's have the same answer."""
    return RefusedError(404)


@dataclass(frozen=True, slots=True)
class Seat:
    """A signed-in person at the console, at one instant of community time."""

    request: Request
    services: Services
    session: Session | None
    viewer: Viewer
    now: datetime
    #: The hash of the session's or the bearer token: by it the database knows who asks.
    token_hash: bytes

    @property
    def language(self) -> str:
        return language_of(self.request, self.viewer)

    @property
    def csrf(self) -> str:
        return self.session.csrf if self.session else ""

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One transaction of this request: it shows the database who asks, and its statements are bounded in time.

        Raises
        ------
        SchemaFencedError
            If something is sent, and the database was migrated past what this program knows of its rows.
        """
        with transaction(self.services.pool) as connection:
            if self.request.method not in ("GET", "HEAD"):
                fence.enter(connection)
            self._open(connection)
            yield connection

    @contextmanager
    def rights_transaction(self) -> Iterator[Connection]:
        """One transaction that reaches everything stored of a person, for entering it, taking it out or deleting it.

        With a login of its own, which no other page has; who may do it is the page's business.

        Raises
        ------
        SchemaFencedError
            If something is sent, and the database was migrated past what this program knows of its rows.
        """
        url = self.services.settings.rights_database_url
        if url is None:
            with self.transaction() as connection:
                yield connection
            return
        with (
            connect(url.get_secret_value(), service="console rights") as connection,
            connection.transaction(),
        ):
            if self.request.method not in ("GET", "HEAD"):
                fence.enter(connection)
            self._open(connection)
            yield connection

    def _open(self, connection: Connection) -> None:
        """Show the database who asks; nobody's session any more: as if she had never come."""
        row = connection.execute(
            OPEN_SCOPE,
            {
                "timeout": str(STATEMENT_TIMEOUT_MS),
                "token_hash": self.token_hash,
                "wall": self.services.wall_now(),
            },
        ).fetchone()
        if row is None or not row["open"]:
            raise SignInNeededError  # ended between the look at it and this

    def surroundings(self, connection: Connection) -> tuple[dict[str, Any] | None, dict[str, datetime]]:
        """The active community and how far each service has come: read once for a request, like the clock."""
        kept = self.request.scope.setdefault("kaimen_surroundings", {})
        place = self.viewer.community_id
        if place not in kept:
            kept[place] = load_community(connection, place), load_progress(connection)
        found: tuple[dict[str, Any] | None, dict[str, datetime]] = kept[place]
        return found

    def reader(self, connection: Connection) -> Reader:
        """Say who reads and how far ingest has seen."""
        community, progress = self.surroundings(connection)
        seen = progress.get("ingest", self.now)
        return Reader(
            self.viewer, self.now, min(self.now, seen), community["zone"] if community else ZONE_DEFAULT
        )

    def audit(
        self,
        connection: Connection,
        action: str,
        *,
        purpose: str,
        object_kind: str,
        object_id: str,
        **detail: Any,
    ) -> int:
        """Write down what this person looked at or did, in the transaction that does it."""
        entry = Entry(
            self.now, f"user:{self.viewer.user_id}", self.viewer.role.value, action, purpose, object_kind,
            object_id, {"community": self.viewer.community_id, **detail},
        )  # fmt: skip
        return append(connection, entry, key=self.services.audit_key)

    def answer(
        self,
        connection: Connection,
        template: str,
        page: object,
        *,
        section: Section | None = None,
        fragment: str | None = None,
        status: int = 200,
        path: str | None = None,
        live: bool = True,
    ) -> Response:
        """Render a page, or one fragment of it, in the reader's language.

        ``path`` is the page's own address where a form was sent to another; a page that is shown once is not
        ``live``.
        """
        shell = make_shell(self, connection, section=section)
        shell = replace(shell, path=path or shell.path, stream_url=shell.stream_url if live else None)
        try:
            text = render(template, shell=shell, page=page, fragment=fragment)
        except UnknownFragmentError as error:
            raise not_here() from error
        body, said = pack_page(text, self.request.headers, self.request.url.query)
        response = HTMLResponse(body, status, headers=said)
        if fragment is None and NOTICE_COOKIE in self.request.cookies and not self.is_kept_for_later:
            response.delete_cookie(NOTICE_COOKIE, path="/")
        return response

    @property
    def is_kept_for_later(self) -> bool:
        """Whether the answer is only kept on a phone: nobody reads it now."""
        return KEEPING_HEADER in self.request.headers

    def go(self, path: str, notice: str | None = None) -> Response:
        """After a POST: on to a page, which says once what was done."""
        response = RedirectResponse(path, 303)
        if notice:
            response.set_cookie(
                NOTICE_COOKIE, notice, max_age=60, path="/", httponly=True, samesite="lax",
                secure=secure_cookies(self.services),
            )  # fmt: skip
        return response


def secure_cookies(services: Services) -> bool:
    """Say whether cookies go over TLS only: always, but for a demo on loopback."""
    settings = services.settings
    demo_at_home = settings.demo and settings.console_host in ("127.0.0.1", "::1", "localhost")
    return settings.console_secure_cookies and not demo_at_home


def session_cookie(services: Services) -> str:
    """The name says to the browser that the cookie is of this host alone, where TLS allows it."""
    return "__Host-kaimen_session" if secure_cookies(services) else "kaimen_session"


def language_of(request: Request, viewer: Viewer | None) -> str:
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    if chosen in LANGUAGES:
        return chosen
    if viewer is not None and viewer.language in LANGUAGES:
        return viewer.language
    header = request.headers.get("accept-language", "").strip().lower()
    return "en" if header.startswith("en") else "zh"


def token_of(request: Request, services: Services) -> str | None:
    """Return the token of a session's cookie; None where there is none that could be one."""
    token = request.cookies.get(session_cookie(services))
    return token if token and len(token) <= 100 else None


def find_seat(request: Request) -> Seat | None:
    """Return the seat of a session cookie, or None."""
    services = services_of(request)
    token = token_of(request, services)
    if token is None:
        return None
    wall_now = services.wall_now()
    with single(services.pool) as connection:
        used = "fragment" not in request.query_params
        session = identity.find_session(connection, token, now=wall_now, used=used)
    must = None if session is None else session.must(services.factor_rule, wall_now)
    if must is not None and not request.url.path.startswith(_MUST_OPEN):
        raise MustFirstError(must)
    if session is None:
        return None
    return Seat(request, services, session, session.viewer, services.now(), session.token_hash)


def signed_in(request: Request) -> Seat:
    seat = find_seat(request)
    if seat is None:
        raise SignInNeededError
    return seat


SignedIn = Annotated[Seat, Depends(signed_in)]


def entering(*sections: Section) -> Callable[[Request], Seat]:
    """Make the guard of a page: signed in, and of a role that works there."""

    def guard(request: Request) -> Seat:
        seat = signed_in(request)
        if not any(may_enter(seat.viewer, section) for section in sections):
            raise RefusedError(403)
        return seat

    return guard


def check_origin(request: Request, services: Services) -> None:
    """Refuse what another site's page sent in this person's name."""
    origin = request.headers.get("origin")
    if origin is not None:
        ours = {request.headers.get("host", ""), urlsplit(services.settings.public_url).netloc}
        if origin == "null" or urlsplit(origin).netloc not in ours:
            raise RefusedError(403, "other_site")
    elif request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise RefusedError(403, "other_site")


def checked_form(request: Request, csrf: Annotated[str, Form(max_length=200)] = "") -> None:
    """The guard of every form: sent from our own page, with the token of her own sign-in."""
    services = services_of(request)
    check_origin(request, services)
    token = request.cookies.get(session_cookie(services), "")
    if not token:
        raise SignInNeededError
    if not csrf or not identity.same_token(csrf, identity.csrf_of(token)):
        raise RefusedError(403, "stale_form")


CheckedForm = Depends(checked_form)


def load_community(connection: Connection, community_id: str | None) -> dict[str, Any] | None:
    return connection.execute(queries("console")["community"], {"id": community_id}).fetchone()


def load_progress(connection: Connection) -> dict[str, datetime]:
    return {
        row["service"]: row["at"] for row in connection.execute(queries("console")["progress"]).fetchall()
    }


def make_shell(seat: Seat, connection: Connection, *, section: Section | None) -> Shell:
    """Build what surrounds a page: navigation with its numbers, clock, connection, the last act's notice."""
    services, viewer, request = seat.services, seat.viewer, seat.request
    community, progress = seat.surroundings(connection)
    zone = community["zone"] if community else ZONE_DEFAULT
    counts = _load_counts(connection, seat)
    behind = [max(0, round((seat.now - at).total_seconds() * 1000)) for at in progress.values()]
    # A page fetched to be kept for later is not read now: what was done stands on the page she comes to.
    notice = "" if seat.is_kept_for_later else request.cookies.get(NOTICE_COOKIE, "")
    return Shell(
        # A director stands in none of her communities more than in another.
        community=community["name"] if community and viewer.role is not Role.PROPERTY_DIRECTOR else "",
        language=seat.language,
        now=seat.now,
        csrf=seat.csrf,
        path=path_of(request),
        zone=zone,
        user=viewer.display_name,
        user_id=viewer.user_id,
        role=viewer.role,
        nav=navigation(
            viewer.role,
            section,
            counts,
            demo=services.settings.demo,
            demo_current=request.url.path == "/demo",
        ),
        demo=services.settings.demo,
        speed=_speed(services),
        stream_url="/stream" if section in _LIVE else None,
        heard_at=progress.get("ingest"),
        behind_ms=_behind_ms(services, max(behind, default=0)),
        duty=_duty(connection, viewer, seat.now, zone, counts),
        notice=_notice(notice, seat.language),
        version=__version__,
        places=_places(connection, viewer),
        factor_due_at=_factor_due(seat),
        positions=_positions(connection, viewer),
        **_guard_strips(seat, connection),
    )


def _factor_due(seat: Seat) -> datetime | None:
    """Until when she may work without a second factor; None where she has one or needs none."""
    session = seat.session
    if session is None or session.has_factor or seat.viewer.role not in seat.services.factor_rule.roles:
        return None
    return session.factor_due_at


def _positions(connection: Connection, viewer: Viewer) -> tuple[Position, ...]:
    """Every position somebody may choose, her first in front; one is nothing to choose from."""
    rows = connection.execute(_IDENTITY["shell_positions"], {"user_id": viewer.user_id}).fetchall()
    if len(rows) < 2:
        return ()
    active = (viewer.role.value, viewer.community_id)
    current = next((row for row in rows if (row["role"], row["community_id"]) == active), rows[0])
    return tuple(
        Position(str(row["id"] or ""), Role(row["role"]), row["community_name"] or "", row is current)
        for row in rows
    )


def _places(connection: Connection, viewer: Viewer) -> tuple[Place, ...]:
    """The communities she may choose among; one is nothing to choose from."""
    if viewer.role is not Role.PROPERTY_CLERK or len(viewer.community_ids) < 2:
        return ()
    rows = connection.execute(
        queries("console")["shell_places"], {"ids": sorted(viewer.community_ids)}
    ).fetchall()
    return tuple(
        Place(row["id"], row["name"], row["calling"], row["id"] == viewer.community_id) for row in rows
    )


def _guard_strips(seat: Seat, connection: Connection) -> dict[str, bool]:
    """What the watchdog has to say on every page of the desk, its own silence included; a watchdog nobody ever
    started is said on its page alone.
    """
    if seat.viewer.role not in (Role.PROPERTY_CLERK, Role.ADMIN):
        return {}
    row = connection.execute(queries("console", "guard.sql")["shell"]).fetchone()
    if row is None:
        return {}
    if row["turned_at"] is None:
        return {"outbox_held": row["held"]}
    silent = seat.services.wall_now() - row["turned_at"] > WATCHDOG_SILENT_AFTER
    return {"outbox_held": row["held"], "unreached": row["unreached"], "watchdog_silent": silent}


def _notice(word: str, language: str) -> Phrase | None:
    """What the last act did: alerts' own reason, or one of the console's; a word nobody wrote is not shown."""
    if not _NOTICE.match(word):
        return None
    catalogue = load_catalogue(language)
    if word.startswith("notice.") and word in catalogue:
        return Phrase(word)
    entry = catalogue.get(f"entry.{word}")
    if entry is None:
        return None
    # A timeline's entry has values that a word of one cookie cannot carry.
    return Phrase("notice.recorded" if "{" in entry[0] else word)


def path_of(request: Request) -> str:
    query = request.url.query
    return request.url.path + (f"?{query}" if query else "")


def _load_counts(connection: Connection, seat: Seat) -> dict[str, int]:
    if may_enter(seat.viewer, Section.SECOND_PERSON):
        waiting = connection.execute(queries("console")["second_person_counts"]).fetchone()
        return dict(waiting) if waiting else {}
    if seat.viewer.role is not Role.PROPERTY_CLERK:
        return {}
    row = connection.execute(
        queries("console")["shell_counts"],
        {
            "community_id": seat.viewer.community_id,
            "now": seat.now,
            "hour_ago": seat.now - timedelta(hours=1),
        },
    ).fetchone()
    return dict(row) if row else {}


def _speed(services: Services) -> float:
    return services.clock.setting().speed if isinstance(services.clock, FileClock) else 1.0


def _behind_ms(services: Services, behind_ms: int) -> int:
    """How far the services are behind in seconds a person waits; the scaled clock makes any lag look long."""
    speed = _speed(services)
    return round(behind_ms / speed) if speed > 1 else behind_ms


def _duty(
    connection: Connection, viewer: Viewer, now: datetime, zone: str, counts: dict[str, int]
) -> Duty | None:
    """Who is at the desk and until when: as the roster says, and be it nobody; without one whoever is signed in, until
    00, 08 or 16.
    """
    if viewer.role is not Role.PROPERTY_CLERK:
        return None
    alarms = counts.get("alarms_this_hour", 0)
    duty = load_duty(connection, viewer.community_id or "")
    if duty is not None and duty.has_roster(viewer.role):
        turn = stretches(duty, viewer.role, now, now + timedelta(days=1))[0]
        guards = on_duty(duty, Role.GUARD, now).people if duty.has_roster(Role.GUARD) else ()
        return Duty(
            _names(duty, turn.on_duty.people),
            turn.to_at,
            alarms,
            "" if turn.on_duty else _names(duty, guards),
        )
    local = now.astimezone(ZoneInfo(zone))
    begin = local.replace(hour=local.hour // 8 * 8, minute=0, second=0, microsecond=0)
    return Duty(viewer.display_name, begin + timedelta(hours=8), alarms)


def _names(duty: CommunityDuty, people: Iterable[int]) -> str:
    return "、".join(duty.people[person].name for person in people)


def outer_shell(request: Request, *, csrf: str = "") -> Shell:
    """The surrounding of a page for somebody who is not signed in."""
    services = services_of(request)
    return Shell(
        community="",
        language=language_of(request, None),
        now=services.now(),
        csrf=csrf,
        path=path_of(request),
        demo=services.settings.demo,
        speed=_speed(services),
        version=__version__,
    )


def error_page(request: Request, status: int, word: str | None = None) -> Response:
    """Say what went wrong in the reader's language; never a stack trace, never which of two reasons it was."""
    page = shell_views.ErrorPage(
        status,
        word,
        request_id=getattr(request.state, "request_id", None),
        retry_url=path_of(request) if request.method == "GET" and status >= 500 else None,
    )
    return HTMLResponse(render("error.html", shell=outer_shell(request), page=page), status)


def local_path(path: str, default: str = "/") -> str:
    """Return ``path`` where it is a path of this site, else the default: nobody is sent elsewhere by us."""
    parts = urlsplit(path)
    if parts.scheme or parts.netloc or not path.startswith("/") or path.startswith(("//", "/\\")):
        return default
    return default if any(ord(character) < 32 for character in path) else path


def parse_local_time(text: str, zone: str) -> datetime | None:
    """Read ``YYYY-MM-DDTHH:MM`` of a form in the community's zone; None where it is not one."""
    try:
        parsed = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return parsed.replace(tzinfo=ZoneInfo(zone)) if parsed.tzinfo is None else parsed
