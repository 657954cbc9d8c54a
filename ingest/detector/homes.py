"""A registry enters; which homes are watched, who lives behind which door, and what is remembered of each home leave.

A home is known by its number, which is its place in the arrays. What is remembered of it lies in packed bytes where nothing
asked for it lately. No I/O, no clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field

from ingest.detector.changes import RegistryChanges, owner_of, take
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

#: Stands where a household was that is watched no longer, until another takes its number.
_NOBODY = Household("", "", (), 0)


@dataclass(frozen=True, slots=True)
class Registry:
    """Devices, households and credentials by id; households without consent are not watched."""

    devices: dict[str, Device]
    households: dict[str, Household]
    credentials: dict[str, Credential]

    def take(self, changes: RegistryChanges) -> None:
        """Bring it up to what changed; whoever was given a part of it sees that."""
        take(self.devices, changes.devices)
        take(self.households, changes.households)
        take(self.credentials, changes.credentials)


@dataclass(frozen=True, slots=True)
class Moved:
    """What changes of a registry meant: numbers of the homes to be judged anew, numbers nobody has any more, and what was
    remembered of those that had them.
    """

    touched: set[int] = field(default_factory=set)
    left: list[int] = field(default_factory=list)
    gone: list[Watch | Remembered] = field(default_factory=list)


class Homes:
    """The watched households of a registry, by number."""

    def __init__(self, tracks: Tracks) -> None:
        self._tracks = tracks
        self._households: list[Household] = []
        #: What is remembered of each, packed where nothing asked for a while.
        self._remembered: list[Watch | bytes | None] = []
        self._credentials: Mapping[str, Credential] = {}
        self._tokens: dict[str, list[str]] = {}
        self._number_of: dict[str, int] = {}
        self._free: list[int] = []
        #: By device: the homes that share a dwelling's door, and those that have a right to a shared one.
        self._several: dict[str, list[int]] = {}
        self._sharers: dict[str, list[int]] = {}

    def __len__(self) -> int:
        """How many numbers there are, those that nobody has any more among them."""
        return len(self._households)

    def numbered(self) -> Iterator[tuple[int, Household]]:
        """Yield every watched household with its number."""
        for number, household in enumerate(self._households):
            if household is not _NOBODY:
                yield number, household

    def __getitem__(self, number: int) -> Household:
        return self._households[number]

    # -- a registry -----------------------------------------------------------------------------------------

    def replace(self, registry: Registry) -> list[Watch | Remembered]:
        """Take over a registry, judgements forgotten; return what was remembered of homes that are watched no longer."""
        before = {household.household_id: self._remembered[number] for number, household in self.numbered()}
        self._households = [item for item in registry.households.values() if item.consent]
        self._credentials = registry.credentials
        self._tokens = tokens_by_household(registry.credentials)
        self._number_of = {}
        self._free = []
        self._place_devices(registry)
        self._remembered = []
        for household in self._households:
            self._remembered.append(_unjudged(before.pop(household.household_id, None)))
        return [_awake(gone) for gone in before.values() if gone is not None]

    def _place_devices(self, registry: Registry) -> None:
        """Note of each device whose dwelling's door it is, and whose shared one."""
        self._several, self._sharers = {}, {}
        home_of: dict[str, int] = {}
        for number, household in enumerate(self._households):
            for binding in household.doors:
                device_id = binding.device_id
                if binding.role != DoorRole.DWELLING:
                    _add(self._sharers.setdefault(device_id, []), number)
                elif home_of.setdefault(device_id, number) != number:
                    _add(self._several.setdefault(device_id, [home_of[device_id]]), number)
        for numbers in (*self._several.values(), *self._sharers.values()):
            numbers.sort(key=lambda number: self._households[number].household_id)
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

    # -- changes of it --------------------------------------------------------------------------------------

    def take(self, changes: RegistryChanges, registry: Registry) -> Moved:
        """Take over what changed of a registry, and bring it up to that; judgements of what is touched are forgotten."""
        moved = Moved()
        self._number_of = {}
        owners = self._take_tokens(changes, registry)
        before = {
            household_id: (
                self._find(registry.households.get(household_id)),
                registry.households.get(household_id),
            )
            for household_id in changes.households.keys() | owners
        }
        registry.take(changes)
        placed = set(changes.devices)
        for household_id, (number, old) in before.items():
            new = registry.households.get(household_id)
            self._move(number, new if new is not None and new.consent else None, moved)
            placed |= {
                door.device_id
                for household in (old, new)
                if household is not None
                for door in household.doors
            }
        self._place_again(placed, moved.touched, registry)
        self._free += moved.left
        for device_id in placed:
            moved.touched.update(
                self.dwellers(device_id)
            )  # a silent door that one needs no more may still be another's
        for device_id in changes.passed | changes.devices.keys():
            if device_id in self._tracks:
                moved.touched.update(self.concerned(device_id))
        for number in moved.touched:
            self._remembered[number] = _unjudged(self._remembered[number])
        return moved

    def _take_tokens(self, changes: RegistryChanges, registry: Registry) -> set[str]:
        """Note whose residents' credentials there are now; return the households of which that is otherwise."""
        touched: set[str] = set()
        for token, now in changes.credentials.items():
            was, owner = owner_of(registry.credentials.get(token)), owner_of(now)
            if was is not None:
                self._tokens[was].remove(token)
                touched.add(was)
            if owner is not None:
                self._tokens.setdefault(owner, []).append(token)
                touched.add(owner)
        return touched

    def _find(self, household: Household | None) -> int | None:
        """Return a household's number by its doors: a dictionary of a million would be for one look."""
        if household is None:
            return None
        key = household.household_id
        near = (
            number
            for door in household.doors
            if door.device_id in self._tracks
            for number in self.concerned(door.device_id)
        )
        found = next((number for number in near if self._households[number].household_id == key), None)
        if found is None and not household.doors:
            found = next((number for number, other in self.numbered() if other.household_id == key), None)
        return found

    def _move(self, number: int | None, household: Household | None, moved: Moved) -> None:
        """Give a household the number it had, a free one, or take it away."""
        if household is None:
            if number is not None:
                gone = self._remembered[number]
                if gone is not None:
                    moved.gone.append(_awake(gone))
                self._households[number], self._remembered[number] = _NOBODY, None
                moved.left.append(number)
            return
        if number is None:
            number = self._free.pop() if self._free else len(self._households)
            if number == len(self._households):
                self._households.append(_NOBODY)
                self._remembered.append(None)
        self._households[number] = household
        moved.touched.add(number)

    def _place_again(self, device_ids: Iterable[str], numbers: Iterable[int], registry: Registry) -> None:
        """Note of some devices whose doors they are now; ``numbers`` are the homes whose doors may be others."""
        near = {
            device_id: set(self.concerned(device_id)) if device_id in self._tracks else set()
            for device_id in device_ids
        }
        for number in numbers:
            for door in self._households[number].doors:
                near[door.device_id].add(number)
        for device_id, found in near.items():
            homes = {role: self._with_door(found, device_id, role) for role in DoorRole}
            _keep(self._sharers, device_id, homes[DoorRole.SHARED])
            dwellers = homes[DoorRole.DWELLING]
            _keep(self._several, device_id, dwellers if len(dwellers) > 1 else [])
            home = self._home_no(device_id, dict.fromkeys((device_id,), dwellers[0]) if dwellers else {})
            device = registry.devices.get(device_id)
            self._tracks.place(device_id, home, None if device is None else device.supervision_ms)

    def _with_door(self, numbers: Iterable[int], device_id: str, role: DoorRole) -> list[int]:
        """Return those of some homes that have a device for a door, in the order of their names."""
        found = (
            number
            for number in numbers
            if any(
                door.device_id == device_id and door.role == role for door in self._households[number].doors
            )
        )
        return sorted(found, key=lambda number: self._households[number].household_id)

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

    def is_known(self, number: int) -> bool:
        """Say whether anything is remembered of a household."""
        return self._remembered[number] is not None

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
            self._number_of = {home.household_id: number for number, home in self.numbered()}
        return self._number_of[household_id]


def _awake(remembered: Watch | bytes) -> Watch | Remembered:
    return remembered if isinstance(remembered, Watch) else remembered_of(remembered)


def _unjudged(remembered: Watch | bytes | None) -> bytes | None:
    """Return what is remembered of a home whose judgement holds no longer."""
    packed = pack_watch(remembered) if isinstance(remembered, Watch) else remembered
    return None if packed is None else without_judgement(packed)


def _add(numbers: list[int], number: int) -> None:
    if number not in numbers[-1:]:  # a door may be the same home's at several times
        numbers.append(number)


def _keep(homes: dict[str, list[int]], device_id: str, numbers: list[int]) -> None:
    if numbers:
        homes[device_id] = numbers
    else:
        homes.pop(device_id, None)
