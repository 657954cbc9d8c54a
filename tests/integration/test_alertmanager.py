"""Round trip with the real Alertmanager (Debian's ``prometheus-alertmanager``): firing, renewing, restart, resolving.

The program comes from the PATH or from ``KAIMEN_TEST_ALERTMANAGER``; continuous integration installs it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from alerts.__main__ import note_channels
from alerts.channels.alertmanager import AlertmanagerChannel, Settings, open_channel
from alerts.sending.courier import Courier
from alerts.sending.mirror import RESOLVED_FOR, Mirror
from console.inbound import _parse_group
from kaimen.clock import ManualClock, SystemClock
from kaimen.database import transaction
from kaimen.settings import AlertsSettings
from tests.integration.providers import Answer, Asked, Provider, run_http
from tests.integration.test_channels_conformance import MESSAGE
from tests.unit.alerts.town import build_town

PROGRAM = os.environ.get("KAIMEN_TEST_ALERTMANAGER") or shutil.which("prometheus-alertmanager")
WITHIN_S = 20.0

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="needs Debian's prometheus-alertmanager on the PATH")


def take(asked: Asked, provider: Provider) -> Answer:
    provider.asked.append(asked.json)
    return 200, {}, {}


class Manager:
    """One Alertmanager over one folder; it may be stopped and started again."""

    def __init__(self, folder: Path, hook: str) -> None:
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        config = {
            "route": {
                "receiver": "hook", "group_by": ["case", "episode"], "group_wait": "1ms", "group_interval": "100ms",
                "repeat_interval": "1h",
            },
            "receivers": [{"name": "hook", "webhook_configs": [{"url": hook, "send_resolved": True}]}],
        }  # fmt: skip
        (folder / "config.yml").write_text(json.dumps(config))
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        assert PROGRAM is not None
        self.process = subprocess.Popen(
            [
                PROGRAM, f"--config.file={self.folder / 'config.yml'}", f"--storage.path={self.folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{self.port}", "--cluster.listen-address=",
            ],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        wait_until(self._is_ready, "Alertmanager did not start")

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=1) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def stop(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(WITHIN_S)
        self.process = None


def wait_until(done: Callable[[], bool], words: str) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not done():
        assert time.monotonic() < deadline, words
        time.sleep(0.05)


@contextmanager
def running(folder: Path, hook: str) -> Iterator[Manager]:
    manager = Manager(folder, hook)
    manager.start()
    try:
        yield manager
    finally:
        if manager.process is not None:
            manager.stop()


def open_for(manager: Manager) -> AlertmanagerChannel:
    channel = open_channel(AlertsSettings(alerts_private_hosts=("127.0.0.1",)), Settings(url=manager.url))
    assert isinstance(channel, AlertmanagerChannel)
    return channel


def told(provider: Provider) -> list[tuple[str, str]]:
    return [(found["status"], found["commonLabels"]["episode"]) for found in provider.asked]


def test_firing_is_told_once_however_often_it_is_renewed_and_another_episode_again(tmp_path: Path) -> None:
    with run_http(take) as provider, running(tmp_path, provider.url) as manager:
        channel = open_for(manager)
        now_s = SystemClock().now_ms() // 1000
        message = replace(MESSAGE, link="https://kaimen.example/cases/7", sent_s=now_s)
        assert channel.deliver(message).state == "accepted"
        wait_until(lambda: bool(provider.asked), "no notification of a firing alert")
        for _ in range(3):
            channel.deliver(message)
        manager.stop()
        manager.start()
        channel.deliver(message)
        # The same case number anew after the restart: without the episode the stored log would swallow it.
        channel.deliver(replace(message, link="https://kaimen.example/cases/8"))
        wait_until(lambda: ("firing", "8") in told(provider), "the second episode was swallowed")
        assert told(provider).count(("firing", "7")) == 1
        labels = provider.asked[0]["commonLabels"]
        assert labels == {
            "alertname": "KaimenCase", "case": MESSAGE.number, "episode": "7", "severity": "critical",
        }  # fmt: skip
        name, is_over = _parse_group(provider.asked[0])
        assert (name.partition("-")[0], is_over) == ("KaimenCase", False)


def test_a_case_is_firing_while_it_stands_through_a_restart_and_resolved_when_it_ends(
    database_url: str, tmp_path: Path
) -> None:
    with (
        build_town(database_url) as town,
        run_http(take) as provider,
        running(tmp_path, provider.url) as manager,
    ):
        wall = ManualClock(SystemClock().now_ms())
        channels = {"alertmanager": open_for(manager)}
        with transaction(town.pool) as connection:
            note_channels(connection, channels)
        town.household("h1")
        town.crosses("h1", 3)
        town.settle(town.worker())
        courier = Courier(town.pool, town.clock, channels, "k1", "https://kaimen.example", wall=wall)
        while courier.send_one():
            pass
        episode = str(town.row("SELECT id FROM cases")["id"])
        wait_until(lambda: ("firing", episode) in told(provider), "no notification of the case")
        mirror = Mirror(town.pool, town.clock, channels, "https://kaimen.example", wall=wall)
        manager.stop()
        manager.start()
        assert mirror.renew() == 1, "what stands is posted again to a receiver that forgot it"
        town.rows("UPDATE cases SET state = 'closed', outcome = 'safe', closed_at = %s", town.now)
        assert mirror.renew() == 1
        wait_until(lambda: ("resolved", episode) in told(provider), "the end was not told")
        assert told(provider).count(("firing", episode)) == 1
        town.at(town.now + RESOLVED_FOR + timedelta(seconds=1))
        assert mirror.renew() == 0
        assert _parse_group(provider.asked[-1])[1] is True
        assert "h1" not in json.dumps(provider.asked)
