"""Names and days enter; an authority and certificates made now and thrown away leave, and a broker that shows them."""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kaimen.clock import SystemClock, as_datetime
from tests.fix_servers import NatsServer, Program, accepts, free_port, nats_program

_NOW = as_datetime(SystemClock().now_ms())


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as files."""

    certificate: Path
    key: Path


class Authority:
    """Vouches for certificates that it makes in ``folder``."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder, self._name = folder, _name(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        built = self._build(self._name, self._key.public_key(), days=(-400, 30))
        built = built.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.file = folder / f"{name}.crt"
        self.file.write_bytes(_pem(built.sign(self._key, hashes.SHA256())))

    def vouch(self, file: str, names: Sequence[str], *, days: tuple[int, int] = (-1, 1)) -> Pair:
        """Make a certificate for hosts, valid from … to … days from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        built = self._build(_name(file), key.public_key(), days=days)
        built = built.add_extension(
            x509.SubjectAlternativeName([_host(name) for name in names]), critical=False
        )
        built = built.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        pair = Pair(self._folder / f"{file}.crt", self._folder / f"{file}.key")
        pair.certificate.write_bytes(_pem(built.sign(self._key, hashes.SHA256())))
        pair.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return pair

    def _build(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, *, days: tuple[int, int]
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(_NOW + timedelta(days=days[0]))
            .not_valid_after(_NOW + timedelta(days=days[1]))
        )


def _name(words: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, words)])


def _host(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


@contextlib.contextmanager
def secure_nats(folder: Path, pair: Pair, *, clients_of: Path | None = None) -> Iterator[NatsServer]:
    """Run a nats-server that speaks MQTT over TLS alone; with ``clients_of`` it asks for a certificate of theirs."""
    port = free_port()
    asks = "" if clients_of is None else f', ca_file: "{clients_of}", verify: true'
    settings = folder / f"nats-{port}.conf"
    settings.write_text(
        f"server_name: kaimen-secure\nlisten: 127.0.0.1:{free_port()}\n"
        f'jetstream {{ store_dir: "{folder}/store-{port}", max_file_store: 1GB }}\n'
        f'mqtt {{ listen: "127.0.0.1:{port}", ack_wait: "5s", max_ack_pending: 2000,'
        f' tls {{ cert_file: "{pair.certificate}", key_file: "{pair.key}", timeout: 10{asks} }} }}\n'
    )
    program = Program("nats-server", [nats_program(), "-c", str(settings)], folder / f"nats-{port}.log")
    program.start()
    try:
        program.wait_until(lambda: accepts(port))
        yield NatsServer(program, port)
    finally:
        program.stop()
