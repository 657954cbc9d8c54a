"""The gateway the settings name: settings enter, a gateway or a sentence saying what is missing leaves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from alerts.channels import ChannelSettingsError
from alerts.voice import aliyun, sidecar, tencent, twilio
from alerts.voice.cloud import CloudGateway, Provider
from alerts.voice.conversation import Patience
from alerts.voice.dialler import Dialler
from alerts.voice.gateway import VoiceGateway
from alerts.voice.sip import SipCall, SipGateway
from kaimen.clock import Clock, SystemClock
from kaimen.database import open_pool
from kaimen.settings import AlertsSettings

_CONNECTIONS_MAX = 10


def refusal_of(settings: AlertsSettings) -> str | None:
    """Say what is missing or wrong for the gateway the settings name; None where nothing is."""
    if settings.voice_gateway == "sip":
        try:
            found = sidecar.parse_sidecar(settings)
        except sidecar.PhoneSettingsError as error:
            return str(error)
        return None if found is not None else "KAIMEN_VOICE_GATEWAY=sip needs KAIMEN_SIP_ACCOUNT"
    if settings.voice_gateway == "none":
        return None
    try:
        _provider(settings)
    except ChannelSettingsError as error:
        return str(error)
    return None


def _provider(settings: AlertsSettings) -> Provider:
    if settings.voice_gateway == "aliyun":
        return aliyun.open_provider(settings)
    if settings.voice_gateway == "tencent":
        return tencent.open_provider(settings)
    return twilio.open_provider(settings)


def is_real(settings: AlertsSettings) -> bool:
    """Say whether the gateway can ring anybody outside this machine."""
    if settings.voice_gateway == "sip":
        found = sidecar.parse_sidecar(settings)
        return found is None or not found.is_loopback
    return settings.voice_gateway != "none" and _provider(settings).is_real


def open_gateway(settings: AlertsSettings) -> VoiceGateway | None:
    """Return the gateway the settings name; None where they name none, or a demo would ring real people.

    Raises
    ------
    PhoneSettingsError
        With the variable that is wrong.
    """
    refusal = refusal_of(settings)
    if refusal is not None:
        raise sidecar.PhoneSettingsError(refusal)
    if settings.voice_gateway == "none" or (settings.demo and is_real(settings)):
        return None
    if settings.voice_gateway == "sip":
        found = sidecar.parse_sidecar(settings)
        assert found is not None
        return SipGateway(found)
    clock = SystemClock()
    return CloudGateway(_provider(settings), settings.database_url, lambda: clock.now_ms() // 1000)


def open_dialler(settings: AlertsSettings, clock: Clock) -> Dialler | None:
    """Return the dialler of the gateway the settings name, with its own connections; None where there is none.

    Raises
    ------
    PhoneSettingsError
        With the variable that is wrong.
    """
    gateway = open_gateway(settings)
    if gateway is None:
        return None
    pool = open_pool(
        settings.database_url, service="dialler", size_max=min(_CONNECTIONS_MAX, gateway.parallel_max + 2)
    )
    patience = Patience(settings.voice_ring_s, settings.voice_answer_s)
    dialler = Dialler(
        pool, clock, gateway, f"{settings.alerts_worker}/phone", settings.voice_folder, patience
    )
    if isinstance(gateway, SipGateway):
        gateway.on_incoming = _answering(dialler, gateway)
    return dialler


def _answering(dialler: Dialler, gateway: SipGateway) -> Callable[[SipCall], None]:
    def take(call: SipCall) -> None:
        def answer(prompt: Path) -> None:
            gateway.answer(call, prompt)

        dialler.take_incoming(call, answer)

    return take
