"""The console as a process: settings enter; pages, streams and probes are served until SIGTERM."""

from __future__ import annotations

import signal
from types import FrameType

import uvicorn

from console.app import create_app, look_ready
from console.opening import is_let_in
from console.services import Services
from kaimen.clock import open_clock
from kaimen.database import open_pool
from kaimen.logs import get_logger, set_up_logs
from kaimen.metrics import serve_metrics
from kaimen.settings import ConsoleSettings

STOP_WITHIN_S = 5
#: More than the streams that may stand at once, so that a thousand viewers leave room for requests.
CONNECTIONS_MAX = 3_000
#: How long a connection to the database that answered is not asked again whether it stands.
TRUSTED_S = 1.0


class ConsoleServer(uvicorn.Server):
    """Ends event streams first, so that a stop does not wait for readers who never leave."""

    services: Services

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.services.hub.stop_soon()
        super().handle_exit(sig, frame)


def main(settings: ConsoleSettings) -> int:
    """Serve the console on its host and port; return the exit code."""
    set_up_logs("console", level=settings.log_level, form=settings.log_format)
    log = get_logger()
    clock = open_clock(settings.clock)
    with open_pool(
        settings.database_url, service="console", size_max=settings.database_pool_max, trusted_s=TRUSTED_S
    ) as pool:
        app = create_app(settings, clock, pool)
        services: Services = app.state.services
        if not is_let_in(pool, services.audit_key):
            log.error(
                "the database does not know this console, so nobody can sign in: run kaimen db migrate with the same"
                " KAIMEN_CONSOLE_SECRET_FILE"
            )

        def healthy() -> tuple[bool, str]:
            ready, detail = look_ready(services)
            return ready, ", ".join(f"{name} {word}" for name, word in detail.items())

        listener = serve_metrics(settings.metrics_host, settings.metrics_port, healthy)
        config = uvicorn.Config(
            app,
            host=settings.console_host,
            port=settings.console_port,
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=CONNECTIONS_MAX,
            timeout_graceful_shutdown=STOP_WITHIN_S,
            h11_max_incomplete_event_size=32 * 1024,
        )
        server = ConsoleServer(config)
        server.services = services
        # uvicorn raises the signal again after it has stopped; a clean stop is no death by signal.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: None)
        log.info("the console is open", port=settings.console_port)
        server.run()
        if listener is not None:
            listener.shutdown()
    log.info("the console is shut")
    return 0 if server.started else 1


if __name__ == "__main__":
    raise SystemExit(main(ConsoleSettings()))
