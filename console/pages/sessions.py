"""One's own sign-ins: the list of them enters, where each of them can be ended; nobody sees another's."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from console.api.scopes import offered_to
from console.identity import sessions as identity
from console.identity.second_factor import load_factor
from console.pages.sign_in import forget_cookie
from console.seat import CheckedForm, RefusedError, SignedIn, not_here, session_cookie
from console.services import services_of
from console.views import sign_in as sign_in_views
from kaimen.database import queries

router = APIRouter()
_SQL = queries("console", "identity.sql")
SessionId = Annotated[str, Path(pattern="^[0-9a-f]{16}$")]

# The first that is found: every browser also names the ones it descends from.
_BROWSERS = (
    ("MicroMessenger", "微信"),
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("Firefox", "Firefox"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)
_DEVICES = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("HarmonyOS", "HarmonyOS"),
    ("Windows", "Windows"),
    ("Macintosh", "Mac"),
    ("Linux", "Linux"),
)


@router.get("/sessions/here")
def session_here(request: Request, seat: SignedIn) -> Response:
    """Who is signed in here, and the token her forms are sent with: for a form that was open when a sign-in ended."""
    token = request.cookies.get(session_cookie(services_of(request)), "")
    return JSONResponse({"user": seat.viewer.user_id, "csrf": identity.csrf_of(token)})


@router.get("/sessions")
def sessions(seat: SignedIn) -> Response:
    assert seat.session is not None
    wall_now = seat.services.wall_now()
    with seat.transaction() as connection:
        lines = identity.list_sessions(connection, seat.session, now=wall_now)
        of_her = {"user_id": seat.viewer.user_id, "now": wall_now}
        standing = connection.execute(_SQL["user_standing_by_id"], of_her).fetchone()
        factor = load_factor(connection, seat.viewer.user_id)
        page = sign_in_views.SessionsPage(
            tuple(_row(line) for line in lines), wall_now,
            failures_before=standing["failures_before"] if standing else 0,
            factor=factor.confirmed_at is not None, codes_left=factor.codes_left,
            tokens=len(connection.execute(_SQL["tokens"], of_her).fetchall()),
            tokens_offered=bool(offered_to(seat.viewer.role)),
        )  # fmt: skip
        return seat.answer(connection, "sessions.html", page)


def _row(line: identity.SessionLine) -> sign_in_views.SessionRow:
    return sign_in_views.SessionRow(
        id=line.id,
        created_at=line.created_at,
        seen_at=line.seen_at,
        device=name_in(line.agent, _DEVICES),
        browser=name_in(line.agent, _BROWSERS),
        current=line.current,
        end_url=f"/sessions/{line.id}/end",
    )


def name_in(agent: str, names: tuple[tuple[str, str], ...]) -> str:
    """The first name a browser's description of itself holds, or nothing."""
    return next((shown for token, shown in names if token in agent), "")


@router.post("/sessions/{session_id}/end", dependencies=[CheckedForm])
def end(seat: SignedIn, session_id: SessionId) -> Response:
    """End one of one's own sessions; ending this very one signs out."""
    if seat.session is None:
        raise RefusedError(403)
    is_this = seat.session.token_hash.hex().startswith(session_id)
    with seat.transaction() as connection:
        if not identity.revoke_session(connection, seat.viewer, session_id):
            raise not_here()
        seat.audit(
            connection, "session_ended", purpose="administration", object_kind="user", object_id=str(seat.viewer.user_id)
        )  # fmt: skip
    if not is_this:
        return seat.go("/sessions", "notice.session_ended")
    return forget_cookie(RedirectResponse("/sign-in", 303), seat.services)
