"""A temporary folder enters; three NATS servers that form one broker leave: any of them can be killed and come back.

JetStream keeps everything the MQTT listener needs (messages, sessions, retained) on all three: what was answered for
is on two disks at least. ``url`` names all nodes, as ``KAIMEN_BROKER_URL`` takes them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.fix_servers import NatsServer, Program, free_port, nats_program, temporary_folder, wait_until

NODES = 3
#: The nodes elect leaders for a dozen small groups; on a loaded machine that takes a while.
READY_WITHIN_S = 90.0


@dataclass(frozen=True)
class NatsCluster:
    """The nodes of one broker."""

    nodes: Sequence[NatsServer]

    @property
    def url(self) -> str:
        return ",".join(node.url for node in self.nodes)

    def is_ready(self) -> bool:
        return all(node.program.is_alive() and node.is_ready() for node in self.nodes)

    def wait_until_ready(self) -> None:
        wait_until(
            self.is_ready, "every node of the cluster takes a session", within_s=READY_WITHIN_S, poll_s=0.2
        )


def _settings(folder: str, number: int, mqtt_port: int, routes: Sequence[int], ack_wait: str) -> str:
    others = ", ".join(f'"nats://127.0.0.1:{port}"' for port in routes)
    return (
        f"server_name: node-{number}\n"
        f"listen: 127.0.0.1:{free_port()}\n"
        f'jetstream {{ store_dir: "{folder}/node-{number}", max_memory_store: 64MB, max_file_store: 4GB }}\n'
        f'cluster {{ name: kaimen, listen: "127.0.0.1:{routes[number]}", routes: [{others}] }}\n'
        f'mqtt {{ listen: "127.0.0.1:{mqtt_port}", ack_wait: "{ack_wait}", max_ack_pending: 2000,'
        f' js_api_timeout: "2s", stream_replicas: {NODES} }}\n'
    )


@contextlib.contextmanager
def nats_cluster(*, ack_wait: str = "5s") -> Iterator[NatsCluster]:
    """Run a fresh cluster of three on loopback."""
    with temporary_folder("cluster") as folder, contextlib.ExitStack() as stack:
        routes = [free_port() for _ in range(NODES)]
        nodes = []
        for number in range(NODES):
            mqtt_port = free_port()
            settings = folder / f"node-{number}.conf"
            settings.write_text(_settings(str(folder), number, mqtt_port, routes, ack_wait))
            program = Program(
                f"nats-server {number}", [nats_program(), "-c", str(settings)], folder / f"node-{number}.log"
            )
            program.start()
            stack.callback(program.stop)
            nodes.append(NatsServer(program, mqtt_port))
        cluster = NatsCluster(nodes)
        cluster.wait_until_ready()
        yield cluster
