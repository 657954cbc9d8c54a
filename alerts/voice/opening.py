"""The gateway the settings name: settings enter, a gateway or a sentence saying what is missing leaves."""

from __future__ import annotations

from alerts.voice import sidecar
from alerts.voice.gateway import VoiceGateway
from alerts.voice.sip import SipGateway
from kaimen.settings import AlertsSettings


def refusal_of(settings: AlertsSettings) -> str | None:
    """Say what is missing or wrong for the gateway the settings name; None where nothing is."""
    if settings.voice_gateway == "sip":
        try:
            found = sidecar.parse_sidecar(settings)
        except sidecar.PhoneSettingsError as error:
            return str(error)
        return None if found is not None else "KAIMEN_VOICE_GATEWAY=sip needs KAIMEN_SIP_ACCOUNT"
    return None


def is_real(settings: AlertsSettings) -> bool:
    """Say whether the gateway can ring anybody outside this machine."""
    if settings.voice_gateway == "sip":
        found = sidecar.parse_sidecar(settings)
        return found is None or not found.is_loopback
    return settings.voice_gateway != "none"


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
    return None
