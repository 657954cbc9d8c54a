"""Structured log lines: events enter, one JSON (or text) line each leaves on standard error.

Field names are an allow-list, so that a name, a telephone number or a door never reaches a log by carelessness:
an unknown field is replaced by a note that it was withheld.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any

import structlog

#: What may stand in a log line. Ids of cases and devices are pseudonymous; persons and households are not listed.
FIELDS = frozenset(
    {
        "action", "address", "attempt", "batch", "block", "by_snapshot", "bytes", "case", "cause", "channel", "clock", "code", "count",
        "delay_s", "device", "dialect", "duration_ms", "edge", "error", "exception", "exit_code", "file", "fields",
        "gateway", "group", "kind", "lag_ms", "level", "logger", "migration", "mode", "name", "now", "outcome",
        "path", "pid", "port", "process", "queue", "reason", "role", "seed", "service", "signal", "site", "size",
        "speed", "stack", "stage", "state", "status", "task", "tier", "timestamp", "token", "topic_kind", "turn",
        "url_host", "version", "withheld", "worker", "event", "events", "messages", "exc_info", "stack_info",
    }
)  # fmt: skip


def _withhold(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    unknown = [field for field in line if field not in FIELDS]
    for field in unknown:
        del line[field]
    if unknown:
        line["withheld"] = len(unknown)
    return line


def _stamp(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    # Wall time of the machine, also in the demo: a log is read beside the logs of other programs.
    line["timestamp"] = datetime.now(UTC).isoformat(timespec="milliseconds")
    return line


def set_up_logs(service: str, *, level: str = "INFO", form: str = "json") -> None:
    """Send this process' log lines, and those of its libraries from WARNING on, to standard error."""
    renderer: Any = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            _withhold,
            _stamp,
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s %(message)s", force=True
    )


def get_logger() -> Any:
    """Return the logger; call as ``log.info("event words", field=value)`` with fields of ``FIELDS``."""
    return structlog.get_logger()
