"""Our own files for browsers: an address enters; the file leaves, packed where it may, with how long it is good for."""

from __future__ import annotations

import asyncio
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from console.packing import PACKED_BYTES_MIN, pack_kept, takes_packed

STATIC_FOLDER = Path(__file__).parent / "static"
#: Pictures and sounds are packed in themselves.
_TEXTS = frozenset({".css", ".js", ".svg", ".webmanifest", ".json", ".txt"})


class CachedStaticFiles(StaticFiles):
    """Our own files: for ever where the address names the version, asked again otherwise."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory=directory, check_dir=False)
        self._packed: dict[tuple[str, str], bytes] = {}

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await self._packed_response(await super().get_response(path, scope), scope)
        versioned = b"v=" in scope.get("query_string", b"")
        fresh = "public, max-age=31536000, immutable" if versioned else "no-cache"
        response.headers["Cache-Control"] = fresh
        if path == "live.js" or path.endswith("worker.js"):
            response.headers["Service-Worker-Allowed"] = "/"
        return response

    async def _packed_response(self, response: Response, scope: Scope) -> Response:
        if not isinstance(response, FileResponse) or Path(response.path).suffix not in _TEXTS:
            return response
        response.headers["Vary"] = "Accept-Encoding"
        headers = Headers(scope=scope)
        if "range" in headers or not takes_packed(headers.get("accept-encoding")):
            return response
        key = str(response.path), response.headers["etag"]
        packed = self._packed.get(key)
        if packed is None:
            body = await asyncio.to_thread(Path(response.path).read_bytes)
            if len(body) < PACKED_BYTES_MIN:
                return response
            packed = self._packed[key] = await asyncio.to_thread(pack_kept, body)
        said = {
            "ETag": f'{key[1][:-1]}-gzip"', "Last-Modified": response.headers["last-modified"],
            "Vary": "Accept-Encoding", "Content-Encoding": "gzip",
        }  # fmt: skip
        if said["ETag"] in [
            name.strip().removeprefix("W/") for name in headers.get("if-none-match", "").split(",")
        ]:
            return Response(status_code=304, headers=said)
        body = b"" if scope["method"] == "HEAD" else packed
        answer = Response(body, media_type=response.media_type, headers=said)
        answer.headers["Content-Length"] = str(len(packed))
        return answer
