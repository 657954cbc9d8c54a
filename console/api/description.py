"""The description of the JSON API: the application's routes enter, an OpenAPI document leaves; pages are not in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from console.api.models import Problem
from kaimen import __version__

PATH = "/api/openapi.json"
router = APIRouter()
_PROBLEM = {
    "description": "a problem, in the shape of RFC 9457",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
_WORDS = (
    "What the console's pages know, for programs: the same scopes, the same words. Send a bearer token, or a session's "
    "cookie and, with writes, its token as X-CSRF-Token. Fields are added, never renamed."
)


@router.get(PATH, include_in_schema=False)
def description(request: Request) -> Response:
    """Send the description; it is made once."""
    app: FastAPI = request.app
    if not hasattr(app.state, "openapi"):
        app.state.openapi = describe(app)
    return JSONResponse(app.state.openapi)


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document of everything below /api/."""
    routes = [route for route in routes_in(app.routes) if route.path.startswith("/api/")]
    document = get_openapi(
        title="Kaimen", version=__version__, summary="The JSON API", description=_WORDS, routes=routes
    )
    schemas = document["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Problem"] = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(schemas["Problem"].pop("$defs", {}))
    document["components"]["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer"},
        "session": {"type": "apiKey", "in": "cookie", "name": "__Host-kaimen_session"},
    }
    document["security"] = [{"token": []}, {"session": []}]
    for operation in (operation for path in document["paths"].values() for operation in path.values()):
        operation["responses"].pop("422", None)
        operation["responses"].update({"4XX": _PROBLEM, "5XX": _PROBLEM})
    return document


def routes_in(routes: Iterable[BaseRoute]) -> Iterator[APIRoute]:
    """Return the routes with functions of ours; files are not."""
    return (route for route in routes if isinstance(route, APIRoute))
