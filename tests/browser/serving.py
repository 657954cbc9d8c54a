"""A console for a browser: a world enters, the address of a server in this process leaves, stopped afterwards."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from console.app import create_app
from kaimen.settings import ConsoleSettings
from tests.fix_servers import free_port
from tests.integration.console_world import World

START_WITHIN_S = 20


@contextmanager
def serve_console(world: World) -> Iterator[str]:
    """Serve the world's database as in service; every look is drawn for the auditor."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    settings = ConsoleSettings(
        database_url=world.url, public_url=url, console_secure_cookies=False, console_audited_share=1.0
    )
    app = create_app(settings, world.clock, world.app_pool, wall=world.wall)
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_config=None, timeout_graceful_shutdown=5))
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined,unused-ignore]
    started = threading.Event()
    start = server.startup

    async def startup(*arguments: Any, **values: Any) -> None:
        await start(*arguments, **values)
        started.set()

    server.startup = startup  # type: ignore[method-assign]
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert started.wait(START_WITHIN_S)
        yield url
    finally:
        app.state.services.hub.stop_soon()
        server.should_exit = True
        thread.join(START_WITHIN_S)
