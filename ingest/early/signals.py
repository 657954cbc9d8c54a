"""Which reports show life: what a home's sensors say enters, signals leave; pure.

A sensor that is stuck and repeats itself shows nothing: only a change counts, unless the sensor never says "off" at
all. Leaving a bed or shutting a cupboard door is done by somebody; a motion sensor or a lamp goes off by itself.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from ingest.early import kernel

FRONT_DOOR_KIND = "front_door"
#: Kinds whose "off" is made by a hand or a body. Every other kind, known or not, speaks by its "on" alone.
_OFF_SHOWS_LIFE = frozenset({"door", "pressure"})


class Place(IntEnum):
    FRONT_DOOR = kernel.FRONT_DOOR
    INDOORS = kernel.INDOORS


class Signal(NamedTuple):
    """A sign of life: instant in milliseconds of the home's wall clock, where, and the sensor's number."""

    at_ms: int
    place: Place
    sensor: int


class LifeSignals:
    """The sensors of one home and what each said last."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._is_on: dict[str, bool] = {}
        self._says_off: set[str] = set()

    @property
    def sensors(self) -> list[str]:
        """Return the sensors' names, in the order of their numbers."""
        return list(self._numbers)

    def take(self, at_ms: int, sensor: str, kind: str, is_on: bool) -> Signal | None:
        """Return the sign of life in one report, if it is one; reports come in order of time."""
        number = self._numbers.setdefault(sensor, len(self._numbers))
        was_on = self._is_on.get(sensor)
        self._is_on[sensor] = is_on
        if not is_on:
            self._says_off.add(sensor)
            if not was_on or (kind != FRONT_DOOR_KIND and kind not in _OFF_SHOWS_LIFE):
                return None
        elif was_on and sensor in self._says_off:
            return None
        return Signal(at_ms, Place.FRONT_DOOR if kind == FRONT_DOOR_KIND else Place.INDOORS, number)
