"""Sounds and the wire to the telephone: bytes as they come enter, what we make of them is judged."""

from __future__ import annotations

import io
import math
import wave
from array import array
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.voice import audio
from alerts.voice.audio import RATE_HZ, SoundError
from alerts.voice.control import MESSAGE_BYTES_MAX, ControlError, Parser, format_netstring
from alerts.voice.keypad import Audience
from alerts.voice.prompts import Prompts
from alerts.voice.sidecar import PhoneSettingsError, Sidecar, parse_sidecar
from alerts.voice.wording import TEXTS, question
from kaimen.settings import AlertsSettings


def wav(samples: list[int], *, rate: int = RATE_HZ, channels: int = 1, width: int = 2) -> bytes:
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        if width == 1:
            file.writeframes(bytes((value >> 8) + 128 for value in samples))
        else:
            file.writeframes(
                b"".join(
                    (value << 8 * (width - 2)).to_bytes(width, "little", signed=True) for value in samples
                )
            )
    return target.getvalue()


def tone(hertz: float, seconds: float, rate: int = RATE_HZ) -> list[int]:
    return [
        round(12_000 * math.sin(2 * math.pi * hertz * index / rate)) for index in range(round(rate * seconds))
    ]


def strength(samples: array[int], hertz: float) -> float:
    """How strong one frequency is in samples at 8 kHz."""
    real = sum(value * math.cos(2 * math.pi * hertz * at / RATE_HZ) for at, value in enumerate(samples))
    imaginary = sum(value * math.sin(2 * math.pi * hertz * at / RATE_HZ) for at, value in enumerate(samples))
    return 2 * math.hypot(real, imaginary) / len(samples)


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize(("channels", "width"), [(1, 1), (1, 2), (2, 2), (1, 3), (1, 4)])
def test_a_tone_stays_the_tone_it_was(rate: int, channels: int, width: int) -> None:
    samples = [value for value in tone(1_000, 0.4, rate) for _ in range(channels)]
    found = audio.read_upload(wav(samples, rate=rate, channels=channels, width=width))
    assert abs(len(found) - 0.4 * RATE_HZ) <= 2
    assert strength(found, 1_000) == pytest.approx(12_000, rel=0.05)


def test_what_a_telephone_cannot_carry_is_not_folded_into_what_it_can() -> None:
    found = audio.read_upload(wav(tone(6_000, 0.4, 22_050), rate=22_050))
    # Its sudden beginning and end aside; of 12,000, and unfiltered it would whistle at 2 kHz.
    assert max(map(abs, found[200:-200])) < 200


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "sound_not_wav"),
        (b"RIFF....WAVEfmt ", "sound_not_wav"),
        (b"OggS" + bytes(200), "sound_not_wav"),
        (wav(tone(500, 0.1)), "sound_too_short"),
        (wav([0] * RATE_HZ * 31), "sound_too_long"),
        (bytes(audio.BYTES_MAX + 1), "sound_too_large"),
        (wav(tone(500, 0.5), rate=4_000), "sound_not_wav"),
    ],
)
def test_an_upload_that_cannot_be_played_is_refused_with_its_reason(data: bytes, word: str) -> None:
    with pytest.raises(SoundError, match=word):
        audio.read_upload(data)


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    try:
        audio.read_upload(b"RIFF" + data)
    except SoundError:
        return


def test_a_quiet_recording_is_made_as_loud_as_the_others_and_its_silence_is_cut() -> None:
    quiet = array("h", [0] * RATE_HZ + [value // 10 for value in tone(500, 0.5)] + [0] * RATE_HZ)
    found = audio.levelled(quiet)
    assert len(found) < RATE_HZ
    assert 22_000 < max(found) < 24_000
    with pytest.raises(SoundError, match="sound_silent"):
        audio.levelled(audio.silence(1))


def test_a_sound_of_another_form_is_found_before_it_sounds_like_a_busy_line(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.wav"
    wrong.write_bytes(wav(tone(500, 0.5, 16_000), rate=16_000))
    with pytest.raises(SoundError):
        audio.seconds_of(wrong)
    right = tmp_path / "right.wav"
    right.write_bytes(audio.format_wav(audio.silence(1.5)))
    assert audio.seconds_of(right) == 1.5


@given(
    st.lists(st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=3), max_size=5), st.data()
)
def test_messages_arrive_whole_however_the_wire_cuts_them(
    messages: list[dict[str, str]], data: st.DataObject
) -> None:
    stream = b"".join(map(format_netstring, messages))
    parser, found = Parser(), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        found += parser.feed(stream[:size])
        stream = stream[size:]
    assert found == messages


@pytest.mark.parametrize(
    "piece", [b"x:{},", b"2:{}!", b"%d:" % (MESSAGE_BYTES_MAX + 1), b"1234567890123", b"1:[,"]
)
def test_what_is_not_that_wire_is_refused(piece: bytes) -> None:
    with pytest.raises(ControlError):
        list(Parser().feed(piece))


def settings(**further: object) -> AlertsSettings:
    values: dict[str, object] = {"voice_gateway": "sip", "sip_account": "sip:1001@pbx.example", **further}
    return AlertsSettings(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("further", "names"),
    [
        ({"sip_account": "1001@pbx.example"}, "KAIMEN_SIP_ACCOUNT"),
        ({"sip_account": "sip:1@x>;audio_source=alsa"}, "KAIMEN_SIP_ACCOUNT"),
        ({"sip_lines": 3}, "{line}"),
        ({"sip_dial": "sip:@pbx.example"}, "KAIMEN_SIP_DIAL"),
        ({"sip_password": 'a";b'}, "KAIMEN_SIP_PASSWORD"),
        ({"sip_control": "nowhere"}, "KAIMEN_SIP_CONTROL"),
        ({"sip_folder": Path("/" + "x" * 120)}, "KAIMEN_SIP_FOLDER"),
    ],
)
def test_a_wrong_setting_is_named(further: dict[str, object], names: str) -> None:
    with pytest.raises(PhoneSettingsError, match=names):
        parse_sidecar(settings(**further))


def test_lines_are_accounts_of_their_own_and_the_password_is_for_the_owner_alone(tmp_path: Path) -> None:
    found = parse_sidecar(
        settings(
            sip_account="sip:10{line}@pbx.example",
            sip_lines=3,
            sip_password="secret",
            sip_folder=tmp_path / "p",
        )
    )
    assert found is not None
    assert found.lines == tuple(f"sip:10{number}@pbx.example" for number in (1, 2, 3))
    assert found.target("138 0013 8000") == "sip:13800138000@pbx.example"
    assert not found.is_loopback
    found.write()
    accounts = tmp_path / "p" / "accounts"
    assert accounts.read_text().count("auth_pass=secret") == 3
    assert accounts.stat().st_mode & 0o077 == 0
    assert (tmp_path / "p").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(("dial", "loopback"), [
    ("sip:{number}@127.0.0.1:5062", True), ("sip:{number}@[::1]", True), ("sip:{number}@127.0.0.1.evil.example", False),
    ("sip:{number}@10.0.0.9", False),
])  # fmt: skip
def test_only_a_line_that_stays_on_this_machine_is_unreal(dial: str, loopback: bool) -> None:
    found = parse_sidecar(settings(sip_dial=dial))
    assert isinstance(found, Sidecar)
    assert found.is_loopback is loopback


def test_calls_that_begin_together_make_the_same_sound_without_losing_it(tmp_path: Path) -> None:
    recordings = {(segment, "zh"): wav(tone(500 + index, 0.4)) for index, segment in enumerate(TEXTS)}
    prompts = Prompts(tmp_path, recordings)
    with ThreadPoolExecutor(20) as pool:
        sounds = list(pool.map(lambda _: prompts.sound(question(Audience.ELDER, "123456"), "zh"), range(40)))
    assert len(set(sounds)) == 1
    assert audio.seconds_of(sounds[0]) > 5
    assert not list(tmp_path.glob("*.tmp"))
