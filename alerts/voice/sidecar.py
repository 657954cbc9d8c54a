"""The baresip beside us: settings enter; its configuration files, its start line and its names of things leave.

Run as a program it writes the files and becomes baresip, so that whoever supervises it holds the real process.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import shutil
import sys
import threading
from array import array
from dataclasses import dataclass
from pathlib import Path

from alerts.voice import audio
from alerts.voice.gateway import dialled
from kaimen.settings import AlertsSettings

LINES_MAX = 60
#: Longer than any call lasts: the program ends a call when its sound ends.
SILENCE_S = 150.0
#: The program copies the name of a sound into 128 bytes.
SOUND_PATH_LENGTH_MAX = 120
_PROGRAM = "baresip"
_MODULE_FOLDERS = ("/usr/lib/baresip/modules", "/usr/local/lib/baresip/modules", "/usr/lib64/baresip/modules")
_FORBIDDEN = set("<>;,\"' \t\r\n")


class PhoneSettingsError(ValueError):
    """The telephone is set up wrongly; the text says which variable and how to mend it."""


@dataclass(frozen=True, slots=True)
class Sidecar:
    """How one baresip is set up; ``lines`` are its accounts, one call each."""

    folder: Path
    lines: tuple[str, ...]
    dial: str
    control: tuple[str, int]
    listen: str
    password: str | None = None
    auth_user: str | None = None
    register_s: int = 0
    outbound: str | None = None
    media_ports: str = "10000-10130"
    #: Further lines of the program's configuration.
    further: str = ""

    @property
    def is_loopback(self) -> bool:
        """Whether no call of it can leave this machine."""
        return _is_loopback(host_of(self.dial)) and (
            self.outbound is None or _is_loopback(host_of(self.outbound))
        )

    def target(self, number: str) -> str:
        """Return the address to dial for a number.

        Raises
        ------
        InvalidNumberError
            If it is none.
        """
        return self.dial.replace("{number}", dialled(number))

    @property
    def silence(self) -> Path:
        return self.folder / "silence.wav"

    def write(self) -> None:
        """Write what the program reads at its start; the folder is for its owner alone."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, text in (("config", self._config()), ("accounts", self._accounts()), ("contacts", "")):
            path = self.folder / name
            path.touch(mode=0o600)
            path.write_text(text, encoding="utf-8")

    def write_silence(self) -> None:
        """Write the sound every call begins with."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_once(self.silence, audio.silence(0.0))

    def write_padded(self, sound: Path) -> Path:
        """Write a sound followed by silence; return where. The same sound is written once.

        Raises
        ------
        SoundError
            If it is not a sound of ours.
        """
        audio.seconds_of(sound)
        data = sound.read_bytes()
        target = self.folder / f"{hashlib.sha256(data).hexdigest()[:20]}.wav"
        _write_once(target, audio.read_wav(data))
        return target

    def prune(self, before_s: float) -> None:
        """Remove sounds that nobody has used since an instant (of the files' own clock)."""
        audio.prune(self.folder, before_s, keep=self.silence.name)

    def _config(self) -> str:
        interface = "net_interface 127.0.0.1\n" if _is_loopback(self.listen.rpartition(":")[0]) else ""
        host, port = self.control
        return (
            f"poll_method epoll\nsip_listen {self.listen}\n{interface}"
            "call_local_timeout 120\ncall_max_calls 1\n"
            f"audio_path {self.folder}\naudio_source aufile,{self.silence}\n"
            f"audio_player aufile,{os.devnull}\naudio_alert aufile,{os.devnull}\n"
            "ausrc_srate 8000\nausrc_channels 1\nauplay_srate 8000\nauplay_channels 1\n"
            "ausrc_format s16\nauplay_format s16\n"
            f"jitter_buffer_delay 5-10\nrtp_timeout 60\nrtp_ports {self.media_ports}\n"
            f"module_path {module_folder()}\nmodule g711.so\nmodule aufile.so\n"
            "module_tmp account.so\nmodule_app menu.so\nmodule_app ctrl_tcp.so\n"
            f"ctrl_tcp_listen {host}:{port}\n"
            "menu_bell no\nringback_disabled yes\nstatmode_default off\nredial_attempts 0\n"
            f"{self.further}"
        )

    def _accounts(self) -> str:
        further = f";regint={self.register_s};answermode=manual;call_transfer=no;mwi=no"
        further += f";audio_codecs=pcmu,pcma;audio_source=aufile,{self.silence}"
        if self.outbound is not None:
            further += f';outbound="{self.outbound}"'
        if self.auth_user is not None:
            further += f";auth_user={self.auth_user}"
        # Without a password given here the program would ask for one on a terminal nobody sees.
        further += f";auth_pass={self.password or 'none'}"
        return "".join(f"<{line}>{further}\n" for line in self.lines)


def _write_once(path: Path, samples: array[int]) -> None:
    """Write samples and the silence after them; the silence takes no place on the disk."""
    if path.exists():
        os.utime(path)
        return
    silent_bytes = round(SILENCE_S * audio.RATE_HZ) * 2
    fresh = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}.tmp")
    with fresh.open("wb") as file:
        file.write(audio.format_header(len(samples) * 2 + silent_bytes))
        file.write(samples.tobytes())
        file.truncate(file.tell() + silent_bytes)
    fresh.replace(path)


def host_of(uri: str) -> str:
    """Return the host of a SIP address."""
    rest = uri.partition(":")[2].rpartition("@")[2] if ":" in uri else uri
    host = rest.partition(";")[0]
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def module_folder() -> str:
    """Return where the program's modules are; the first usual place where none is found."""
    machine = Path(f"/usr/lib/{os.uname().machine}-linux-gnu/baresip/modules")
    for folder in (*map(Path, _MODULE_FOLDERS), machine):
        if (folder / "ctrl_tcp.so").exists():
            return str(folder)
    return _MODULE_FOLDERS[0]


def is_installed() -> bool:
    """Say whether the program is on this machine."""
    return shutil.which(_PROGRAM) is not None


def is_listening(address: tuple[str, int]) -> bool:
    """Say whether the program listens there.

    On this machine it is read from the kernel: the program takes one client, and a question would be that client.
    """
    host, port = address
    if not _is_loopback(host):
        return True
    wanted = f":{port:04X}"
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(wanted) and fields[3] == "0A":
            return True
    return False


def parse_sidecar(settings: AlertsSettings) -> Sidecar | None:
    """Return the sidecar the settings ask for; None where they name no account.

    Raises
    ------
    PhoneSettingsError
        With the variable that is wrong.
    """
    account = settings.sip_account
    if account is None:
        return None
    if not account.startswith(("sip:", "sips:")) or "@" not in account or set(account) & _FORBIDDEN:
        raise PhoneSettingsError("KAIMEN_SIP_ACCOUNT must be like sip:1001@pbx.example, without parameters")
    if settings.sip_lines > 1 and "{line}" not in account:
        raise PhoneSettingsError(
            "KAIMEN_SIP_LINES above 1 needs {line} in KAIMEN_SIP_ACCOUNT, like sip:10{line}@pbx.example: "
            "each call has an account of its own"
        )
    dial = settings.sip_dial or "sip:{number}@" + account.rpartition("@")[2]
    if "{number}" not in dial or set(dial) & (_FORBIDDEN - {";"}):
        raise PhoneSettingsError("KAIMEN_SIP_DIAL must hold {number}, like sip:{number}@pbx.example")
    for name, value in (("PASSWORD", settings.sip_password), ("AUTH_USER", settings.sip_auth_user)):
        if value is not None and set(value) & _FORBIDDEN:
            raise PhoneSettingsError(f"KAIMEN_SIP_{name} must hold none of < > ; , quotes or spaces")
    host, colon, port = settings.sip_control.rpartition(":")
    if not colon or not port.isdigit():
        raise PhoneSettingsError("KAIMEN_SIP_CONTROL must be like 127.0.0.1:4444")
    folder = settings.sip_folder.absolute()
    if len(str(folder)) + len("/0123456789abcdef0123.wav") > SOUND_PATH_LENGTH_MAX or " " in str(folder):
        raise PhoneSettingsError("KAIMEN_SIP_FOLDER must be a shorter path, without spaces")
    return Sidecar(
        folder=folder,
        lines=tuple(account.replace("{line}", str(number)) for number in range(1, settings.sip_lines + 1)),
        dial=dial,
        control=(host, int(port)),
        listen=settings.sip_listen,
        password=settings.sip_password,
        auth_user=settings.sip_auth_user,
        register_s=settings.sip_register_s,
        outbound=settings.sip_outbound,
    )


def main(settings: AlertsSettings) -> int:
    """Write the files and become the program.

    Raises
    ------
    PhoneSettingsError
        If the settings name no line, or the program is not installed.
    """
    sidecar = parse_sidecar(settings)
    if sidecar is None:
        raise PhoneSettingsError("KAIMEN_SIP_ACCOUNT is not set: there is no line to run")
    program = shutil.which(_PROGRAM)
    if program is None:
        raise PhoneSettingsError("baresip is not installed: apt-get install baresip-core")
    sidecar.write()
    sidecar.write_silence()
    os.execv(program, [program, "-4", "-f", str(sidecar.folder)])  # noqa: S606 - we become it


if __name__ == "__main__":
    sys.exit(main(AlertsSettings()))
