"""``kaimen phone`` on a real database: agreements, numbers and voices, with the audit of it; who may not is refused."""

from __future__ import annotations

import io
import math
import os
import shutil
import sys
import tempfile
import wave
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from alerts.voice.sidecar import is_installed
from console.cli import main
from console.identity import sessions as identity
from kaimen.database import connect
from kaimen.vocabulary import Role
from tests.fix_servers import Program, accepts, free_port
from tests.phone_world import free_udp_port, require_programs
from tests.unit.alerts.town import Town, build_town

pytestmark = [pytest.mark.slow, pytest.mark.one_store]

PASSWORDS = {"anna": "correct horse battery", "bo": "another good password"}


def run(url: str, *arguments: str, typed: str = "") -> Result:
    return CliRunner().invoke(
        main, ["phone", *arguments, "--database-url", url], input=typed, catch_exceptions=False
    )


@pytest.fixture
def phone_url(database_url: str) -> str:
    with build_town(database_url) as town:
        people(town)
    return database_url


def people(town: Town) -> None:
    town.household("h1")
    town.rows("INSERT INTO persons (id, household_id, relation) VALUES ('her', 'h1', 'resident')")
    town.rows("INSERT INTO person_identities VALUES ('her', 'Somebody', '13800138000')")
    with connect(town.url, service="test") as connection:
        for name, password in PASSWORDS.items():
            identity.add_user(
                connection, name=name, display_name=name, password=password, role=Role.PROPERTY_CLERK,
                community_id="c1", now=town.now,
            )  # fmt: skip


def rows(url: str, statement: str) -> list[dict[str, object]]:
    with connect(url, service="test") as connection:
        return connection.execute(statement).fetchall()  # type: ignore[arg-type]


def test_an_agreement_names_before_whom_it_was_given_and_can_be_taken_back(phone_url: str) -> None:
    assert run(phone_url, "agree", "her", "--agreed-by", " ").exit_code == 1
    assert "no person" in run(phone_url, "agree", "nobody", "--agreed-by", "Ms Li").output
    assert run(phone_url, "agree", "her", "--agreed-by", "Ms Li", "--shown-number", "8001").exit_code == 0
    (profile,) = rows(phone_url, "SELECT automatic_agreed_by, shown_number FROM call_profiles")
    assert profile == {"automatic_agreed_by": "Ms Li", "shown_number": "8001"}
    assert run(phone_url, "withdraw", "her").exit_code == 0
    assert rows(phone_url, "SELECT 1 FROM call_profiles WHERE automatic_from IS NOT NULL") == []
    actions = [row["action"] for row in rows(phone_url, "SELECT action FROM audit_entries ORDER BY id")]
    assert actions == ["phone_agreed", "phone_withdrawn"]


def test_one_person_alone_never_makes_a_new_number_count(phone_url: str) -> None:
    rows_changed = "UPDATE person_identities SET phone = '13900139000' RETURNING 1"
    with connect(phone_url, service="test") as connection:
        connection.execute(rows_changed)
    listed = run(phone_url, "changes")
    assert "13800138000" in listed.output
    change = listed.output.split()[0]
    assert run(phone_url, "told", change, "--by", "anna", "--how", "phoned", typed="wrong\n").exit_code == 1
    anna, bo = (f"{PASSWORDS[name]}\n" for name in ("anna", "bo"))
    assert run(phone_url, "confirm", change, "--by", "bo", typed=bo).exit_code == 1
    assert run(phone_url, "told", change, "--by", "anna", "--how", "phoned", typed=anna).exit_code == 0
    assert run(phone_url, "confirm", change, "--by", "anna", typed=anna).exit_code == 1
    assert rows(phone_url, "SELECT 1 FROM phone_changes WHERE trusted_from IS NOT NULL") == []
    assert run(phone_url, "confirm", change, "--by", "bo", typed=bo).exit_code == 0
    assert "counts from" in run(phone_url, "changes").output


def test_only_staff_is_rung_as_staff_and_only_on_numbers(phone_url: str) -> None:
    assert run(phone_url, "staff", "anna", "8001").exit_code == 0
    assert run(phone_url, "staff", "daughter", "8001").exit_code == 1
    assert run(phone_url, "staff", "bo", "call me").exit_code == 1
    assert run(phone_url, "staff", "anna").exit_code == 0
    assert rows(phone_url, "SELECT 1 FROM staff_phones") == []


def test_a_voice_they_know_is_heard_in_the_prompt(
    phone_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAIMEN_VOICE_FOLDER", str(tmp_path / "cache"))
    sound = tmp_path / "question.wav"
    with io.BytesIO() as target, wave.open(target, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        tone = (round(9_000 * math.sin(index / 5)) for index in range(16_000))
        file.writeframes(b"".join(value.to_bytes(2, "little", signed=True) for value in tone))
        file.close()
        sound.write_bytes(target.getvalue())
    options = ("--community", "c1", "--spoken-by", "Aunt Chen", "--by", "anna")
    refused = run(
        phone_url, "record", "elder.question", str(tmp_path / "question.wav"), *options[:-1], "nobody"
    )
    assert refused.exit_code == 1
    assert run(phone_url, "record", "elder.question", str(sound), *options).exit_code == 0
    (stored,) = rows(
        phone_url, "SELECT segment, spoken_by, octet_length(sound) AS size FROM voice_recordings"
    )
    assert (stored["segment"], stored["spoken_by"]) == ("elder.question", "Aunt Chen")
    assert 14_000 < int(str(stored["size"])) < 18_000
    sound.write_bytes(b"OggS, not a WAV")
    assert "sound_not_wav" in run(phone_url, "record", "elder.question", str(sound), *options).output


@pytest.mark.slow
def test_the_line_is_run_and_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_programs()
    short = Path(tempfile.mkdtemp(prefix="kp"))  # the line's folder has to have a short path
    assert is_installed()
    port = free_port()
    environment = {
        "KAIMEN_VOICE_GATEWAY": "sip", "KAIMEN_SIP_ACCOUNT": "sip:10{line}@127.0.0.1:5099", "KAIMEN_SIP_LINES": "2",
        "KAIMEN_SIP_CONTROL": f"127.0.0.1:{port}", "KAIMEN_SIP_LISTEN": f"127.0.0.1:{free_udp_port()}",
        "KAIMEN_SIP_FOLDER": str(short / "p"),
    }  # fmt: skip
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    missing = CliRunner().invoke(main, ["phone", "check"])
    assert missing.exit_code == 1 and "MISSING the line listens" in missing.output
    program = Program(
        "phone",
        [sys.executable, "-m", "alerts.voice.sidecar"],
        tmp_path / "log",
        environment=dict(os.environ),
    )
    program.start()
    try:
        program.wait_until(lambda: accepts(port), within_s=20)
        found = CliRunner().invoke(main, ["phone", "check"])
        assert found.exit_code == 0, found.output
        assert "2 calls at once" in found.output
    finally:
        program.stop(within_s=2)
        shutil.rmtree(short)
