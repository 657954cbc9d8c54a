"""One frozen settings class per service: environment variables (``KAIMEN_*``) enter, typed values leave.

``None`` means "not set and not needed for this"; a missing required value is named with its variable.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from kaimen.broker_tls import BrokerTls


def _as_number(value: object) -> object:
    """Read digits as a number: an environment has text alone, and one of a few numbers is compared as it is."""
    return int(value) if isinstance(value, str) and value.strip().isdecimal() else value


class ServiceSettings(BaseSettings):
    """What every service has."""

    model_config = SettingsConfigDict(env_prefix="KAIMEN_", frozen=True, extra="ignore")

    clock: str = "system"
    demo: bool = False
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["json", "text"] = "json"
    metrics_host: str = "127.0.0.1"
    metrics_port: int = Field(default=0, ge=0, le=65535, description="0: no listener")


class BrokerSettings(ServiceSettings):
    """A service that speaks MQTT."""

    broker_url: str = "mqtt://127.0.0.1:1883"
    broker_user: str | None = None
    broker_password: str | None = None
    broker_ca_file: Path | None = None
    broker_certificate_file: Path | None = Field(
        default=None, description="our own certificate, for a broker that asks for one"
    )
    broker_key_file: Path | None = None
    broker_tls_name: str | None = Field(
        default=None, description="the name in the broker's certificate, where the address is another one"
    )

    @property
    def broker_tls(self) -> BrokerTls:
        """How the broker's certificate is judged, and what of ours is shown to it."""
        return BrokerTls(
            self.broker_ca_file, self.broker_certificate_file, self.broker_key_file, self.broker_tls_name
        )


class EdgeSettings(BrokerSettings):
    """The edge: from site sources to the central broker."""

    edge_id: str = "edge-1"
    edge_site: str = "site"
    edge_source_url: str | None = Field(
        default=None, description="broker of the foreign devices; default: the central one"
    )
    edge_forward: bool = Field(default=False, description="forward canonical frames of a site's own broker")
    edge_devices_file: Path | None = None
    edge_spool: Path = Path("edge-spool.sqlite")
    edge_spool_bytes_max: int = 512 * 1024 * 1024
    edge_spool_days_max: int = 45
    edge_heartbeat_s: int = 60
    edge_backlog_per_s: float = Field(
        default=50.0,
        gt=0,
        le=100_000,
        description="events a second of what waited; what happens now is not paced",
    )
    edge_credential_key: str | None = Field(
        default=None, description="key of the keyed hash that makes tokens of card numbers"
    )


class DatabaseSettings(ServiceSettings):
    """A service that uses the database."""

    database_url: str = "postgresql://127.0.0.1:5432/kaimen"
    database_pool_max: int = 8


class IngestSettings(BrokerSettings, DatabaseSettings):
    """One ingest worker."""

    ingest_worker: str = "ingest-1"
    ingest_groups: Annotated[Literal[1, 2, 4, 8, 16], BeforeValidator(_as_number)] = 1
    ingest_batch_events_max: int = 2_000
    ingest_batch_wait_ms: int = 50
    ingest_queue_max: int = 10_000
    ingest_lease_s: int = 15
    ingest_redelivery_s: float = Field(
        default=6.0,
        ge=0,
        le=120,
        description="after a worker that died: how long its unanswered messages may take to come again",
    )
    ingest_coverage_flush_s: int = 600
    ingest_snapshot_s: int = Field(
        default=300,
        ge=0,
        le=3600,
        description="every device's state is written down so often, so that a start is quick; 0: never",
    )
    ingest_awake_devices: int = Field(
        default=20_000,
        ge=0,
        description="doors of a group kept at hand as they are, some 8 KB each; of more than that, those nobody asked for"
        " longest are kept packed",
    )
    ingest_memory_mb: int = Field(
        default=0,
        ge=0,
        description="what a worker may hold in memory; near it doors let go of what is stored, at it the broker keeps what"
        " comes. 0: half of what the machine, or its container, has",
    )
    ingest_database_patience_s: int = 10
    ingest_arrays: Literal["columns", "events"] = Field(
        default="columns",
        description="how arrays of events are read: all at once where they are plain, or one by one",
    )
    early_method: Literal["hazard", "cuddihy", "wilhelm", "floeck", "tail"] = Field(
        default="hazard", description="how early watch measures silence, in homes that agreed to it"
    )


class VoiceSettings(DatabaseSettings):
    """A service that knows by which telephone people are rung."""

    voice_gateway: Literal["none", "sip", "aliyun", "tencent", "twilio"] = "none"
    voice_folder: Path = Field(
        default=Path("voice-cache"),
        description="spoken prompts, kept by their hash; may be emptied at any time",
    )
    voice_ring_s: int = Field(default=40, ge=5, le=90)
    voice_answer_s: int = Field(default=12, ge=3, le=60, description="waited for a key after the question")
    sip_account: str | None = Field(
        default=None, description="sip:1001@pbx.example; {line} for several lines"
    )
    sip_password: str | None = None
    sip_auth_user: str | None = None
    sip_lines: int = Field(default=1, ge=1, le=60)
    sip_dial: str | None = Field(default=None, description="sip:{number}@pbx.example")
    sip_outbound: str | None = Field(default=None, description="sip:proxy.example, if not the account's host")
    sip_register_s: int = Field(default=0, ge=0, le=86_400, description="0: do not register")
    sip_listen: str = "0.0.0.0:5060"
    sip_control: str = "127.0.0.1:4444"
    sip_folder: Path = Path("phone")


class AlertsSettings(VoiceSettings):
    """One alerts worker."""

    alerts_worker: str = "alerts-1"
    alerts_turn_s: float = 0.5
    alerts_claim_max: int = 100
    alerts_webhook_url: str | None = None
    alerts_webhook_secret: str | None = None
    alerts_webhook_private_hosts: tuple[str, ...] = ()
    alerts_private_hosts: tuple[str, ...] = Field(
        default=(), description="hosts inside that messages may go to, over http too"
    )
    alerts_ca_file: Path | None = Field(default=None, description="an own authority for https and TLS")
    alerts_answer_within_s: float = Field(default=10.0, gt=0, le=60)
    address_key_file: Path | None = Field(
        default=None,
        description="key (32 bytes, base64) that addresses of people lie encrypted with; mode 0600",
    )
    public_url: str = "http://127.0.0.1:8000"


class WatchdogSettings(DatabaseSettings):
    """The process that watches the others; its channel is its own."""

    watchdog_webhook_url: str | None = Field(default=None, description="findings are posted here, signed")
    watchdog_webhook_secret: str | None = None
    watchdog_program: Path | None = Field(
        default=None, description="a program that takes findings as JSON on standard input"
    )
    watchdog_ping_url: str | None = Field(
        default=None,
        description="called at each turn without a finding; its silence raises the alarm elsewhere",
    )
    watchdog_private_hosts: tuple[str, ...] = ()
    watchdog_turn_s: float = Field(default=60.0, gt=0, le=600)
    watchdog_patience_s: float = Field(
        default=50.0, ge=0, description="a fault is one when it is still there then"
    )
    watchdog_service_s: float = Field(
        default=180.0, gt=0, description="without a finished turn a service stands"
    )
    watchdog_behind_s: float = Field(default=300.0, gt=0)
    watchdog_life_outbox_s: float = Field(
        default=120.0, gt=0, description="how long a message for life may wait"
    )
    watchdog_outbox_s: float = Field(default=1_800.0, gt=0, description="how long any other message may wait")
    watchdog_nobody_s: float = Field(
        default=600.0, gt=0, description="without an accepted message nobody is reached"
    )
    watchdog_clock_s: float = Field(default=30.0, gt=0)
    watchdog_database_s: float = Field(
        default=20.0, ge=0, description="waited for a database before it is away"
    )


class ChannelSettings(BaseSettings):
    """What one channel's own settings class derives from; its prefix is ``KAIMEN_`` and the channel's name."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")


class ConsoleSettings(DatabaseSettings):
    """The console."""

    address_key_file: Path | None = Field(
        default=None,
        description="key (32 bytes, base64) that addresses of people lie encrypted with; mode 0600",
    )
    inbound_secret: SecretStr | None = Field(
        default=None,
        description="what providers' callbacks and Alertmanager must show; at least 24 characters",
    )
    inbound_community: str = Field(
        default="", description="community whose desk gets technical notices; needed where there are several"
    )
    wechat_callback_token: SecretStr | None = None
    alerts_webhook_secret: str | None = None

    edge_credential_key: SecretStr | None = Field(
        default=None,
        description="the edge's key of credential tokens: with it passes are numbers, and cards are known at terminals",
    )
    rights_database_url: SecretStr | None = Field(
        default=None,
        description="login kaimen_rights, for the pages that take out or delete what is stored of a person",
    )
    console_host: str = "127.0.0.1"
    console_port: int = 8000
    console_secret_file: Path | None = Field(
        default=None, description="key of sessions and CSRF tokens; mode 0600"
    )
    console_rights_ledger: Path | None = Field(
        default=None,
        description="file outside the database that a restored backup catches up from: deletions, withdrawals, blocks",
    )
    console_checkpoints: Path | None = Field(
        default=None,
        description="file outside the database to which the end of the audit chain is added daily",
    )
    oidc_issuer: str = Field(
        default="",
        description="address of an OpenID provider people may sign in with; empty: passwords alone",
    )
    oidc_client_id: str = ""
    oidc_client_secret: SecretStr | None = None
    oidc_name: str = Field(
        default="", description="what the button of the sign-in page says, for example 企业微信"
    )
    oidc_claim: str = Field(
        default="sub", description="claim that names a person; one the provider never gives to somebody else"
    )
    oidc_trusts_second_factor: bool = Field(
        default=False, description="whoever the provider let in is not asked for a code here as well"
    )
    console_secure_cookies: bool = True
    console_second_factor_roles: str = Field(
        default="police_officer,police_supervisor,property_director,admin,auditor",
        description="roles that need a second factor, with commas between; empty: none (a demo asks for none)",
    )
    console_second_factor_grace_days: int = Field(
        default=7, ge=0, le=90, description="how long after the first sign-in such a role works without one"
    )
    console_audited_share: float = Field(
        default=0.05, ge=0.0, le=1.0, description="how many of all look-ups and reveals an auditor is shown"
    )
    console_look_ups_a_day: int = Field(
        default=10, ge=1, le=1_000, description="look-ups one officer may ask for in a day, emergencies apart"
    )
    stack_dir: Path | None = Field(
        default=None, description="directory of the embedded stack, where there is one"
    )
    public_url: str = "http://127.0.0.1:8000"
