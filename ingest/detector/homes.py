"""A registry enters; which homes are watched, who lives behind which door, and what is remembered of each home leave.

A home is known by its number, which is its place in the arrays. What is remembered of it lies in packed bytes where nothing
asked for it lately. No I/O, no clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from ingest.detector.rule import HouseholdRule, Judgement, tokens_by_household
from ingest.detector.sleeping import (
    NOBODYS,
    SEVERAL,
    Remembered,
    pack_watch,
    remembered_of,
    unpack_watch,
    without_judgement,
)
from ingest.detector.tracks import Tracks
from ingest.detector.watches import Watch
from kaimen.vocabulary import Credential, CredentialClass, Device, DoorRole, Household


@dataclass(frozen=True, slots=True)
class Registry:
    """Devices, households and credentials by id; households without consent are not watched."""

    devices: dict[str, Device]
    households: dict[str, Household]
    credentials: dict[str, Credential]


class Homes:
    """The watched households of a registry, by number."""

    def __init__(self, tracks: Tracks) -> None:
        self._tracks = tracks
        self._households: list[Household] = []
        #: What is remembered of each, packed where nothing asked for a while.
        self._remembered: list[Watch | bytes | None] = []
        self._credentials: Mapping[str, Credential] = {}
        self._tokens: Mapping[str, Sequence[str]] = {}
        self._number_of: dict[str, int] = {}
        #: By device: the homes that share a dwelling's door, and those that have a right to a shared one.
        self._several: dict[str, list[int]] = {}
        self._sharers: dict[str, list[int]] = {}

    def __len__(self) -> int:
        return len(self._households)

    def __iter__(self) -> Iterator[Household]:
        return iter(self._households)

    def __getitem__(self, number: int) -> Household:
        return self._households[number]

    # -- a registry -----------------------------------------------------------------------------------------

    def replace(self, registry: Registry) -> list[Watch | Remembered]:
        """Take over a registry, judgements forgotten; return what was remembered of homes that are watched no longer."""
        before = {
            household.household_id: remembered
            for household, remembered in zip(self._households, self._remembered, strict=True)
        }
        self._households = [item for item in registry.households.values() if item.consent]
        self._credentials = registry.credentials
        self._tokens = tokens_by_household(registry.credentials)
        self._number_of = {}
        self._place_devices(registry)
        self._remembered = []
        for household in self._households:
            old = before.pop(household.household_id, None)
            packed = pack_watch(old) if isinstance(old, Watch) else old
            self._remembered.append(None if packed is None else without_judgement(packed))
        return [
            gone if isinstance(gone, Watch) else remembered_of(gone)
            for gone in before.values()
            if gone is not None
        ]

    def _place_devices(self, registry: Registry) -> None:
        """Note of each device whose dwelling's door it is, and whose shared one."""
        self._several, self._sharers = {}, {}
        home_of: dict[str, int] = {}
        for number, household in enumerate(self._households):
            for binding in household.doors:
                device_id = binding.device_id
                if binding.role != DoorRole.DWELLING:
                    self._sharers.setdefault(device_id, []).append(number)
                elif device_id not in home_of:
                    home_of[device_id] = number
                else:
                    self._several.setdefault(device_id, [home_of[device_id]]).append(number)
        for device_id in self._tracks:
            if device_id not in registry.devices:
                self._tracks.place(device_id, self._home_no(device_id, home_of), None)
        for device in registry.devices.values():
            home = self._home_no(device.device_id, home_of)
            self._tracks.place(device.device_id, home, device.supervision_ms)
        for household in registry.households.values():
            for binding in household.doors:
                if binding.device_id not in self._tracks:  # required, but nobody registered it: never heard
                    home = self._home_no(binding.device_id, home_of)
                    self._tracks.place(binding.device_id, home, 0)

    def _home_no(self, device_id: str, home_of: Mapping[str, int]) -> int:
        return SEVERAL if device_id in self._several else home_of.get(device_id, NOBODYS)

    # -- who lives there ------------------------------------------------------------------------------------

    def dwellers(self, device_id: str) -> Sequence[int]:
        """Return the numbers of the households whose dwelling's door a device is."""
        number = self._tracks.home_of(device_id)
        return (number,) if number >= 0 else self._several[device_id] if number == SEVERAL else ()

    def sharers(self, device_id: str) -> Sequence[int]:
        """Return the numbers of the households whose shared door a device is."""
        return self._sharers.get(device_id, ())

    def concerned(self, device_id: str) -> Sequence[int]:
        """Return the numbers of all households that a device tells of."""
        return (*self.dwellers(device_id), *self.sharers(device_id))

    def is_bounded(self, number: int) -> bool:
        """Say whether a door is a household's dwelling's for some time only."""
        for binding in self._households[number].doors:
            if (
                binding.from_ms is not None or binding.to_ms is not None
            ) and binding.role == DoorRole.DWELLING:
                return True
        return False

    def household_of(self, device_id: str, instant_ms: int) -> str | None:
        """Return whose dwelling's door a device is at an instant."""
        for number in self.dwellers(device_id):
            household = self._households[number]
            if not self.is_bounded(number):
                return household.household_id
            for binding in household.doors:
                is_this = binding.device_id == device_id and binding.role == DoorRole.DWELLING
                if is_this and binding.holds_at(instant_ms):
                    return household.household_id
        return None

    def owner_of(self, token: str | None) -> str | None:
        """Return whose resident's credential it is: at a shared door nothing else counts."""
        known = self._credentials.get(token) if token else None
        return known.household_id if known is not None and known.klass == CredentialClass.RESIDENT else None

    def sharing(self, device_id: str, household_ids: Set[str | None]) -> Iterator[int]:
        """Yield those of some households whose shared door a device is."""
        for number in self._sharers[device_id]:
            if self._households[number].household_id in household_ids:
                yield number

    # -- what is remembered ---------------------------------------------------------------------------------

    def watch(self, number: int) -> Watch:
        """Return what is remembered of a household, awake."""
        watch = self._remembered[number]
        if isinstance(watch, Watch):
            return watch
        household = self._households[number]
        own = self._tokens.get(household.household_id, ())
        woken = Watch(number, HouseholdRule(household, self._tracks, self._credentials, own))
        if watch is not None:
            unpack_watch(watch, woken)
        self._remembered[number] = woken
        return woken

    def awake(self, number: int) -> Watch | None:
        """Return what is remembered of a household if it is awake."""
        watch = self._remembered[number]
        return watch if isinstance(watch, Watch) else None

    def put_asleep(self, number: int) -> None:
        """Keep what is remembered of a household as bytes."""
        watch = self._remembered[number]
        if isinstance(watch, Watch):
            self._remembered[number] = pack_watch(watch)

    def judgement_of(self, number: int) -> Judgement | None:
        """Return a household's last judgement; it may sleep on."""
        watch = self._remembered[number]
        if isinstance(watch, Watch):
            return watch.judgement
        return None if watch is None else remembered_of(watch).judgement

    def number_of(self, household_id: str) -> int:
        """Return a household's number; KeyError where it is not watched."""
        if not self._number_of:
            self._number_of = {home.household_id: number for number, home in enumerate(self._households)}
        return self._number_of[household_id]
