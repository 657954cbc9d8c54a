"""Two registries enter; what changed from one to the other leaves. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from ingest.detector.rule import is_of_others
from kaimen.vocabulary import Credential, CredentialClass, Device, Household

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class RegistryChanges:
    """What is otherwise than it was, by id; None: it is no longer there.

    ``passed`` are the devices at which somebody ever showed one of the credentials of ``bearers``.
    """

    devices: Mapping[str, Device | None] = field(default_factory=dict)
    households: Mapping[str, Household | None] = field(default_factory=dict)
    credentials: Mapping[str, Credential | None] = field(default_factory=dict)
    passed: frozenset[str] = frozenset()


def differences(before: Mapping[str, V], after: Mapping[str, V]) -> dict[str, V | None]:
    """Return what is otherwise than before; None for what is gone."""
    changed: dict[str, V | None] = {key: value for key, value in after.items() if before.get(key) != value}
    changed |= dict.fromkeys(before.keys() - after.keys())
    return changed


def take(values: dict[str, V], changed: Mapping[str, V | None]) -> None:
    """Bring values up to what changed."""
    for key, value in changed.items():
        if value is None:
            values.pop(key, None)
        else:
            values[key] = value


def owner_of(credential: Credential | None) -> str | None:
    """Return whose resident's credential it is."""
    if credential is None or credential.klass != CredentialClass.RESIDENT:
        return None
    return credential.household_id


def bearers(before: Mapping[str, Credential], changed: Mapping[str, Credential | None]) -> list[str]:
    """Return the credentials that made somebody of others out of whoever showed them, or no longer do.

    Any other change concerns the home whose resident's it is, or was, and nobody else's.
    """
    return [token for token, now in changed.items() if is_of_others(before.get(token)) != is_of_others(now)]
