"""``python -m tests.experiments NAME [--seconds N]``: something is taken away under load and given back; a report leaves.

Ends with 1 where an event was lost or stored twice, or something false was told. The disks need root; ``clock`` needs
libfaketime (Debian: ``apt-get install libfaketime``, or its folder in ``KAIMEN_TEST_FAKETIME``).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.experiments.away import broker_disk_full, database_disk_full, server_away
from tests.experiments.backlog import backlog_beside_live
from tests.experiments.chaos import random_kills
from tests.experiments.clock_step import clock_set
from tests.experiments.stage import Outcome
from tests.experiments.storm import gateways_come_back

EXPERIMENTS: dict[str, Callable[[float, Path], Outcome]] = {
    "database": server_away("PostgreSQL"),
    "broker": server_away("the broker"),
    "database-disk": database_disk_full,
    "broker-disk": broker_disk_full,
    "kills": random_kills,
    "backlog-beside-live": backlog_beside_live,
    "clock": clock_set,
    "storm": gateways_come_back,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.experiments", description=__doc__)
    parser.add_argument("name", choices=[*EXPERIMENTS, "all"])
    parser.add_argument("--seconds", type=float, default=600.0, help="how long it lasts [600]")
    asked = parser.parse_args()
    good = True
    for name in EXPERIMENTS if asked.name == "all" else [asked.name]:
        print(f"--- {name}, {asked.seconds:g} s: {EXPERIMENTS[name].__doc__}", flush=True)
        with tempfile.TemporaryDirectory(prefix="kaimen-experiment-") as folder:
            Path(folder).chmod(0o755)
            found = EXPERIMENTS[name](asked.seconds, Path(folder))
        print("nothing lost, nothing false" if found.is_true else "NOT AS IT SHOULD BE", flush=True)
        good = good and found.is_true
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
