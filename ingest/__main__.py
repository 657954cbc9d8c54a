"""``kaimen ingest``: settings enter; one worker that serves the shard groups it holds leases for runs until SIGTERM."""

from __future__ import annotations

import gc
import signal
import threading
from collections.abc import Sequence
from types import FrameType

from ingest import replay
from ingest.early.loop import EarlyLoop
from ingest.groups.leases import GroupsChangedError, name_worker
from ingest.groups.sharing import Sharing
from ingest.look_back.starter import LookBackStarter
from ingest.pulse import GroupLoop, Health
from ingest.rehearsal import rehearse
from ingest.subscriber import Subscriber
from kaimen.clock import open_clock
from kaimen.database import Connection, connect
from kaimen.fence import SchemaFencedError
from kaimen.logs import get_logger, set_up_logs
from kaimen.metrics import serve_metrics
from kaimen.settings import IngestSettings

#: New objects before rubbish is looked for, and how often older ones are looked at.
COLLECT_AFTER = (50_000, 20, 50)

log = get_logger()


def make_loop(
    settings: IngestSettings, group_no: int, stop: threading.Event, sharing: Sharing | None = None
) -> GroupLoop:
    """Wire one shard group: its clock, its session, its connection and its loop."""
    clock = open_clock(settings.clock)
    source = Subscriber(
        settings.broker_url,
        clock=clock,
        group_no=group_no,
        groups=settings.ingest_groups,
        queue_max=settings.ingest_queue_max,
        user=settings.broker_user,
        password=settings.broker_password,
        security=settings.broker_tls,
    )

    def open_connection() -> Connection:
        return connect(settings.database_url, service=f"ingest {group_no}", autocommit=True)

    return GroupLoop(
        settings,
        group_no=group_no,
        clock=clock,
        source=source,
        open_connection=open_connection,
        rebuild=replay.rebuild,
        stop=stop,
        sharing=sharing,
    )


def summarise(healths: Sequence[Health]) -> tuple[bool, str]:
    """Return whether all is well, and what the groups say: once where they say the same, else with their numbers.

    What is not well stands first.
    """
    saying: dict[Health, list[str]] = {}
    for group_no, health in enumerate(healths):
        saying.setdefault(health, []).append(str(group_no))
    if len(saying) == 1:
        return healths[0].good, healths[0].words
    parts = [
        f"{health.words} (group{'s' if len(numbers) > 1 else ''} {', '.join(numbers)})"
        for health, numbers in sorted(saying.items(), key=lambda item: item[0].good)
    ]
    return all(health.good for health in healths), "; ".join(parts)


class Worker:
    """All groups of one process, a thread each; the first that fails for good stops them all."""

    def __init__(self, settings: IngestSettings) -> None:
        self.stop = threading.Event()
        self.failed: BaseException | None = None
        self._sharing = sharing = Sharing(
            name_worker(settings.ingest_worker),
            groups=settings.ingest_groups,
            lease_s=settings.ingest_lease_s,
            clock=open_clock(settings.clock),
        )
        self.loops = [
            make_loop(settings, group_no, self.stop, sharing) for group_no in range(settings.ingest_groups)
        ]
        self._early = EarlyLoop(
            settings,
            clock=open_clock(settings.clock),
            open_connection=lambda: connect(settings.database_url, service="early watch", autocommit=True),
            stop=self.stop,
        )
        self._look_backs = LookBackStarter(
            open_connection=lambda: connect(settings.database_url, service="look-backs", autocommit=True),
            stop=self.stop,
        )

    def health(self) -> tuple[bool, str]:
        """Say for ``/healthz`` whether every group is served or stands by."""
        return summarise([loop.health for loop in self.loops])

    def run(self) -> int:
        """Serve until ``stop``; return the process' exit code."""
        threads = [
            threading.Thread(target=self._run_one, args=(loop,), name=f"group-{index}")
            for index, loop in enumerate(self.loops)
        ]
        threads.append(threading.Thread(target=self._run_one, args=(self._early,), name="early watch"))
        threads.append(threading.Thread(target=self._run_one, args=(self._look_backs,), name="look-backs"))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self._sharing.close()
        return 1 if self.failed is not None else 0

    def _run_one(self, loop: GroupLoop | EarlyLoop | LookBackStarter) -> None:
        try:
            loop.run()
        except (GroupsChangedError, SchemaFencedError) as error:
            log.error("will not start", reason=str(error))
            self._fail(error)
        except BaseException as error:  # a programmer's fault: say it, end the process, be started again
            log.exception("a loop failed", error=type(error).__name__)
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        self.failed = self.failed or error
        self.stop.set()


def main(settings: IngestSettings) -> int:
    """Run one ingest worker until SIGTERM or SIGINT; return its exit code."""
    # Hundreds of thousands of events stay for weeks: to look through them for rubbish again and again is wasted.
    gc.set_threshold(*COLLECT_AFTER)
    set_up_logs("ingest", level=settings.log_level, form=settings.log_format)
    rehearse()
    worker = Worker(settings)

    def ask_to_stop(_signal: int, _frame: FrameType | None) -> None:
        worker.stop.set()

    signal.signal(signal.SIGTERM, ask_to_stop)
    signal.signal(signal.SIGINT, ask_to_stop)
    serve_metrics(settings.metrics_host, settings.metrics_port, worker.health)
    return worker.run()


if __name__ == "__main__":
    raise SystemExit(main(IngestSettings()))
