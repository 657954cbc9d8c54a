"""Sounds for what the telephone says: pieces enter, one WAV in the cache leaves.

A recording by somebody the elder knows comes first, the synthesiser (espeak-ng, an external program) after it. Every
segment and every whole prompt is kept under the hash of what made it; the folder may be emptied at any time.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import threading
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from alerts.voice import audio
from alerts.voice.wording import LANGUAGES, TEXTS, Language, Pause, Piece, text_of

_PROGRAM = "espeak-ng"
_SPOKEN_WITHIN_S = 20.0
#: Voice, words a minute, pitch: slow and low, as an old ear likes it.
_VOICES: Mapping[Language, tuple[str, int, int]] = {"zh": ("cmn", 190, 40), "en": ("en-gb", 130, 40)}


class CannotSpeakError(RuntimeError):
    """There is neither a recording nor a synthesiser for a segment."""


def is_installed() -> bool:
    """Say whether the synthesiser is on this machine."""
    return shutil.which(_PROGRAM) is not None


@dataclass(slots=True)
class Prompts:
    """The voice of one installation; ``recordings`` are WAV files by (segment, language)."""

    folder: Path
    recordings: Mapping[tuple[str, str], bytes] = field(default_factory=dict)

    def sound(self, pieces: Sequence[Piece], language: Language) -> Path:
        """Return the file that says the pieces one after the other.

        Raises
        ------
        CannotSpeakError
            If a segment has no recording and espeak-ng is not installed or failed.
        """
        name = _digest("prompt", language, *(self._piece_name(piece, language) for piece in pieces))
        target = self.folder / f"{name}.wav"
        if not target.exists():
            parts = [
                audio.silence(piece.seconds) if isinstance(piece, Pause) else self._segment(piece, language)
                for piece in pieces
            ]
            _write(target, audio.format_wav(audio.joined(parts)))
        else:
            os.utime(target)
        return target

    def prune(self, before_s: float) -> None:
        """Forget prompts nobody was rung with since an instant: each code makes one of its own."""
        audio.prune(self.folder, before_s)

    def warm(self) -> None:
        """Speak every segment once, so that no callee waits for the synthesiser."""
        for language in LANGUAGES:
            for segment in TEXTS:
                self._segment(segment, language)

    def _piece_name(self, piece: Piece, language: Language) -> str:
        if isinstance(piece, Pause):
            return f"pause {piece.seconds}"
        recorded = self.recordings.get((piece, language))
        if recorded is not None:
            return hashlib.sha256(recorded).hexdigest()
        return repr((_VOICES[language], text_of(piece, language)))

    def _segment(self, segment: str, language: Language) -> array[int]:
        target = self.folder / f"{_digest('segment', self._piece_name(segment, language))}.wav"
        if not target.exists():
            recorded = self.recordings.get((segment, language))
            samples = audio.read_wav(recorded or _speak(text_of(segment, language), language))
            _write(target, audio.format_wav(audio.levelled(samples)))
        return audio.read_wav(target.read_bytes())


def _speak(text: str, language: Language) -> bytes:
    voice, speed, pitch = _VOICES[language]
    try:
        done = subprocess.run(
            [_PROGRAM, "-v", voice, "-s", str(speed), "-p", str(pitch), "--stdout", text],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SPOKEN_WITHIN_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise CannotSpeakError(
            f"espeak-ng did not speak ({type(error).__name__}): apt-get install espeak-ng, or record the prompts"
        ) from None
    return _with_lengths(done.stdout)


def _with_lengths(data: bytes) -> bytes:
    """Return a WAV that was written into a pipe with the lengths its writer could not go back to set."""
    if data[:4] != b"RIFF" or data[36:40] != b"data":
        return data
    return b"".join(
        (
            data[:4],
            (len(data) - 8).to_bytes(4, "little"),
            data[8:40],
            (len(data) - 44).to_bytes(4, "little"),
            data[44:],
        )
    )


def _digest(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:24]


def _write(target: Path, data: bytes) -> None:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Calls that begin at the same moment make the same sound: each its own copy, and the last one stays.
    fresh = target.with_suffix(f".{os.getpid()}-{threading.get_ident()}.tmp")
    fresh.write_bytes(data)
    fresh.replace(target)
