"""One life of ingest, or of the edge, in a process of its own: settings and a place to die enter; rows leave."""

from __future__ import annotations

import logging
import os
import signal
from typing import Any

import edge.__main__ as edge_service
import ingest.__main__ as ingest_service
from ingest.groups import group_state
from kaimen.settings import EdgeSettings, IngestSettings
from tests.kills.life import CONTEXT

CONTEXT.set_forkserver_preload(["tests.kills.life", "tests.kills.warm"])


def _begin(die_at: str, log_path: str) -> None:
    if die_at:
        os.environ["KAIMEN_TEST_KILL_AT"] = die_at
    log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    logging.captureWarnings(True)


def live_ingest(settings: dict[str, Any], die_at: str, log_path: str) -> None:
    """Be the ingest service itself until told to stop, or until the place where it dies.

    A street is small: so that its rows too are on their way while others are judged, they go three by three.
    """
    _begin(die_at, log_path)
    group_state.ROWS_AT_ONCE = 3
    raise SystemExit(ingest_service.main(IngestSettings(**settings)))


def live_edge(settings: dict[str, Any], die_at: str, log_path: str) -> None:
    """Be the edge service itself until told to stop, or until the place where it dies."""
    _begin(die_at, log_path)
    raise SystemExit(edge_service.main(EdgeSettings(**settings)))


def is_cut(exit_code: int | None) -> bool:
    return exit_code == -signal.SIGKILL
