"""Whether the telephone could ring somebody now: settings enter, one line for each thing it needs leaves."""

from __future__ import annotations

from dataclasses import dataclass

from alerts.voice import prompts, sidecar
from alerts.voice.opening import refusal_of
from kaimen.settings import AlertsSettings


@dataclass(frozen=True, slots=True)
class Line:
    """One thing the telephone needs, and whether it is there."""

    is_well: bool
    words: str


def check_phone(settings: AlertsSettings) -> list[Line]:
    """Return what there is and what is missing; nobody is rung and no wire is taken for it."""
    if settings.voice_gateway == "none":
        return [Line(True, "no phone gateway: people phone by hand (KAIMEN_VOICE_GATEWAY)")]
    refusal = refusal_of(settings)
    lines = [Line(refusal is None, refusal or f"gateway {settings.voice_gateway}: settings are complete")]
    if settings.voice_gateway != "sip":
        return lines
    lines.append(Line(sidecar.is_installed(), "baresip is installed (apt-get install baresip-core)"))
    lines.append(Line(prompts.is_installed(), "espeak-ng is installed (apt-get install espeak-ng)"))
    found = sidecar.parse_sidecar(settings) if refusal is None else None
    if found is not None:
        words = (
            f"the line listens for its commands at {settings.sip_control} ({len(found.lines)} calls at once)"
        )
        lines.append(Line(sidecar.is_listening(found.control), words))
    return lines
