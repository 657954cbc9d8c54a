"""Addresses that only take forms, asked for as pages: a request enters, the page the form stood on leaves.

A refused form is answered at its own address. Whoever signs in anew from there, changes the language or lets a phone
load the page again asks for that address as a page, and there is none.
"""

from __future__ import annotations

from fastapi import Request
from starlette.routing import Match


def page_above(request: Request) -> str:
    """Return the nearest address above the request's own that has a page; ``/`` where there is none."""
    path = request.url.path
    while "/" in path.strip("/"):
        path = path.rpartition("/")[0]
        if _has_page(request, path):
            return path
    return "/"


def _has_page(request: Request, path: str) -> bool:
    scope = {**request.scope, "method": "GET", "path": path, "raw_path": path.encode()}
    return any(route.matches(scope)[0] is Match.FULL for route in request.app.router.routes)


def asks_for_page(request: Request) -> bool:
    """Say whether a person's browser asks for a page here, and no program for an answer."""
    return request.method == "GET" and "text/html" in request.headers.get("accept", "")
