"""Wiring of the edge service: settings enter, a running gateway leaves; ends cleanly on SIGTERM and SIGINT."""

from __future__ import annotations

import signal
import sys
from types import FrameType

from edge.gateway import Gateway
from edge.spool import Spool
from kaimen.clock import open_clock
from kaimen.logs import get_logger, set_up_logs
from kaimen.metrics import serve_metrics
from kaimen.settings import EdgeSettings


def main(settings: EdgeSettings | None = None) -> int:
    """Run one edge until it is told to stop; return the exit code."""
    settings = settings or EdgeSettings()
    set_up_logs("edge", level=settings.log_level, form=settings.log_format)
    log = get_logger()
    clock = open_clock(settings.clock)
    spool = Spool(
        settings.edge_spool, bytes_max=settings.edge_spool_bytes_max, days_max=settings.edge_spool_days_max
    )
    gateway = Gateway(settings, clock, spool)

    def on_signal(number: int, _: FrameType | None) -> None:
        log.info("stopping", signal=signal.Signals(number).name)
        gateway.stop()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    listener = serve_metrics(settings.metrics_host, settings.metrics_port, gateway.healthy)
    if not settings.edge_credential_key:
        log.warning("no credential key is set: credentials do not pass on", edge=settings.edge_id)
    log.info("edge starts", edge=settings.edge_id, site=settings.edge_site, count=spool.message_count)
    try:
        gateway.run()
    finally:
        if listener is not None:
            listener.shutdown()
        spool.close()
    log.info("edge stopped", edge=settings.edge_id)
    return 0


if __name__ == "__main__":
    sys.exit(main())
