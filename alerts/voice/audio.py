"""Sounds as the telephone wants them: any PCM WAV enters, 16-bit mono PCM at 8 kHz leaves; pure but for files.

Written out here because what the standard library had for it is gone from newer Pythons; the sums are small: a
prompt of five seconds takes a third of a second, once, and is kept.
"""

from __future__ import annotations

import contextlib
import io
import math
import struct
import wave
from array import array
from collections.abc import Iterable
from functools import cache
from operator import mul
from pathlib import Path

RATE_HZ = 8_000
#: What an upload may hold.
SECONDS_MAX = 30.0
SECONDS_MIN = 0.3
BYTES_MAX = 6 * 1024 * 1024
RATES_HZ = range(8_000, 96_001)
_CHANNELS_MAX = 2
_FULL = 32_767
#: Loud enough for an old receiver, and never clipped.
_PEAK = 0.7
_SILENT_BELOW = 300
#: Half the filter's length, in samples of the slower of the two rates.
_HALF_WIDTH = 8


class SoundError(ValueError):
    """A sound that cannot be used; the text is the word below ``error.`` in the catalogues."""


def read_upload(data: bytes) -> array[int]:
    """Return the samples of a PCM WAV that somebody sent, as 16-bit mono at 8 kHz.

    Raises
    ------
    SoundError
        ``sound_too_large``, ``sound_not_wav``, ``sound_too_short``, ``sound_too_long``.
    """
    if len(data) > BYTES_MAX:
        raise SoundError("sound_too_large")
    samples = read_wav(data, seconds_max=SECONDS_MAX)
    if len(samples) < RATE_HZ * SECONDS_MIN:
        raise SoundError("sound_too_short")
    return samples


def read_wav(data: bytes, *, seconds_max: float = 300.0) -> array[int]:
    """Return the samples of a PCM WAV as 16-bit mono at 8 kHz.

    Raises
    ------
    SoundError
        ``sound_not_wav``, ``sound_too_long``.
    """
    try:
        with wave.open(io.BytesIO(data)) as file:
            channels, width, rate = file.getnchannels(), file.getsampwidth(), file.getframerate()
            if rate not in RATES_HZ or not 1 <= channels <= _CHANNELS_MAX or not 1 <= width <= 4:
                raise SoundError("sound_not_wav")
            frames = file.readframes(int(rate * seconds_max) + 1)
    except (wave.Error, EOFError, ValueError) as error:
        if isinstance(error, SoundError):
            raise
        raise SoundError("sound_not_wav") from None
    samples = _mixed(_decoded(frames, width), channels)
    if len(samples) > rate * seconds_max:
        raise SoundError("sound_too_long")
    return resampled(samples, rate)


def _decoded(frames: bytes, width: int) -> array[int]:
    frames = frames[: len(frames) // width * width]
    if width == 1:
        return array("h", ((value - 128) << 8 for value in frames))
    if width == 2:
        found = array("h")
        found.frombytes(frames)
        return found
    # The two highest bytes of each sample, little-endian, are all a telephone can carry.
    found = array("h")
    found.frombytes(b"".join(frames[at + width - 2 : at + width] for at in range(0, len(frames), width)))
    return found


def _mixed(samples: array[int], channels: int) -> array[int]:
    if channels == 1:
        return samples
    return array("h", ((left + right) // 2 for left, right in zip(samples[::2], samples[1::2], strict=False)))


def resampled(samples: array[int], rate_hz: int) -> array[int]:
    """Return samples at 8 kHz; what lies above half of it is filtered out, not folded down."""
    if rate_hz == RATE_HZ:
        return samples
    common = math.gcd(rate_hz, RATE_HZ)
    up, down = RATE_HZ // common, rate_hz // common
    filters = _filters(up, down)
    half = (len(filters[0]) - 1) // 2
    padded = array("h", bytes(2 * half)) + samples + array("h", bytes(2 * half + 2))
    found = array("h")
    for index in range(len(samples) * up // down):
        whole, phase = divmod(index * down, up)
        value = sum(map(mul, filters[phase], padded[whole : whole + 2 * half + 1]))
        found.append(max(-_FULL, min(_FULL, round(value))))
    return found


@cache
def _filters(up: int, down: int) -> tuple[tuple[float, ...], ...]:
    """Windowed sinc filters, one for each position of an output sample between two input samples."""
    stretch = max(1.0, down / up)
    half = math.ceil(_HALF_WIDTH * stretch)
    cutoff = 0.92 / stretch
    rows = []
    for phase in range(up):
        row = [_weight(tap - half - phase / up, half, cutoff) for tap in range(2 * half + 1)]
        total = sum(row)
        rows.append(tuple(weight / total for weight in row))
    return tuple(rows)


def _weight(at: float, half: int, cutoff: float) -> float:
    if abs(at) >= half:
        return 0.0
    sinc = 1.0 if at == 0 else math.sin(math.pi * cutoff * at) / (math.pi * cutoff * at)
    return sinc * (0.5 + 0.5 * math.cos(math.pi * at / half))


def levelled(samples: array[int]) -> array[int]:
    """Return a recording without the silence around it, as loud as the others.

    Raises
    ------
    SoundError
        ``sound_silent``.
    """
    loud = [index for index, value in enumerate(samples) if abs(value) > _SILENT_BELOW]
    if not loud:
        raise SoundError("sound_silent")
    margin = RATE_HZ // 10
    kept = samples[max(0, loud[0] - margin) : loud[-1] + margin]
    gain = _PEAK * _FULL / max(abs(value) for value in kept)
    return array("h", (round(value * gain) for value in kept))


def silence(seconds: float) -> array[int]:
    """Return so much silence."""
    return array("h", bytes(2 * round(seconds * RATE_HZ)))


def joined(parts: Iterable[array[int]]) -> array[int]:
    """Return sounds one after the other."""
    found = array("h")
    for part in parts:
        found.extend(part)
    return found


def format_wav(samples: array[int]) -> bytes:
    """Return samples as a WAV file."""
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(samples.tobytes())
    return target.getvalue()


def format_header(data_bytes: int) -> bytes:
    """Return the head of a WAV file of ours with so many bytes of samples."""
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, RATE_HZ, 2 * RATE_HZ, 2, 16)
    return (
        struct.pack("<4sI4s", b"RIFF", 36 + data_bytes, b"WAVE")
        + form
        + struct.pack("<4sI", b"data", data_bytes)
    )


def prune(folder: Path, before_s: float, *, keep: str = "") -> None:
    """Remove the sounds of a folder that were not used since ``before_s`` (seconds of the files' clock)."""
    for path in folder.glob("*.wav"):
        with contextlib.suppress(FileNotFoundError):
            if path.name != keep and path.stat().st_mtime < before_s:
                path.unlink()


def seconds_of(sound: Path) -> float:
    """Return how long a sound of ours plays.

    Raises
    ------
    SoundError
        If it is not 16-bit mono PCM at 8 kHz. A gateway given such a file drops the call as if the line were busy.
    """
    try:
        with wave.open(str(sound)) as file:
            form = (file.getnchannels(), file.getsampwidth(), file.getframerate())
            frames: int = file.getnframes()
    except (OSError, EOFError, wave.Error) as error:
        raise SoundError(f"{sound.name}: {type(error).__name__}") from None
    if form != (1, 2, RATE_HZ):
        raise SoundError(f"{sound.name}: not 16-bit mono at {RATE_HZ} Hz")
    return frames / RATE_HZ
