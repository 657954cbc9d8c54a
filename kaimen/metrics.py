"""A service's own listener: counters enter through prometheus-client, ``/metrics`` and ``/healthz`` leave.

The listener binds loopback unless the settings say otherwise, and no metric carries a label finer than community.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest

HealthCheck = Callable[[], tuple[bool, str]]


def serve_metrics(host: str, port: int, healthy: HealthCheck) -> ThreadingHTTPServer | None:
    """Serve ``/metrics`` and ``/healthz`` in a thread; port 0 serves nothing and returns None.

    ``healthy`` returns whether the service does its work and, where not, what is missing.
    """
    if port == 0:
        return None

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._answer(200, CONTENT_TYPE_LATEST, generate_latest(REGISTRY))
            elif self.path == "/healthz":
                good, words = healthy()
                body = json.dumps({"healthy": good, "detail": words}).encode()
                self._answer(200 if good else 503, "application/json", body)
            else:
                self._answer(404, "text/plain", b"only /metrics and /healthz\n")

        def _answer(self, status: int, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            # Whoever asked may have lost patience and gone.
            with contextlib.suppress(ConnectionError):
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: a line per scrape is noise."""

    server = ThreadingHTTPServer((host, port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server
