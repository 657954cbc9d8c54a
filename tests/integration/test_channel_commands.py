"""``kaimen channels`` as people call it: a file of addresses all or nothing, and a line for every channel."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from alerts.sending.addresses import AddressBook
from console.commands.channels import command
from kaimen.clock import ManualClock
from tests.integration.console_world import World, build_world

pytestmark = [pytest.mark.slow, pytest.mark.one_store]

HEAD = "person_id,user,channel,address,position,language,zone,quiet_from,quiet_until,digest\n"


@pytest.fixture
def world(database_url: str, manual_clock: ManualClock) -> Iterator[World]:
    built = build_world(database_url, manual_clock)
    yield built
    built.close()


def run(world: World, *words: str) -> tuple[int, str]:
    found = CliRunner().invoke(command, [*words, "--database-url", world.url])
    return found.exit_code, found.output


def write(folder: Path, *rows: str) -> str:
    file = folder / "addresses.csv"
    file.write_text(HEAD + "".join(f"{row}\n" for row in rows), encoding="utf-8")
    return str(file)


def test_addresses_of_contacts_and_users_are_entered_once(world: World, tmp_path: Path) -> None:
    file = write(
        tmp_path,
        "p-son,,sms_aliyun,+86 139 0000 0001,1,zh-CN,Asia/Shanghai,22:00,07:00,yes",
        ",family,email,daughter@mail.example,1,en,America/Toronto,,,",
    )
    code, said = run(world, "import", file, "--dry-run")
    assert (code, world.rows("SELECT 1 FROM contact_channels")) == (0, [])
    code, said = run(world, "import", file)
    assert code == 0 and "2 addresses, 2 of them new" in said
    code, said = run(world, "import", file)
    assert code == 0 and "2 addresses, 0 of them new" in said
    rows = world.rows("SELECT * FROM contact_channels ORDER BY id")
    assert AddressBook().open("sms_aliyun", rows[0]["address"]) == "+86 139 0000 0001"
    assert (rows[0]["recipient"], rows[0]["digest"], rows[0]["added_by"]) == ("person:p-son", True, "import")
    assert rows[1]["recipient"] == f"user:{world.user_ids['family']}"
    assert "139" not in said and "daughter" not in said


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("p-nobody,,email,a@mail.example,,,,,,", "line 3, person_id: nobody of that id"),
        ("p-son,family,email,a@mail.example,,,,,,", "line 3, person_id: write person id or user"),
        ("p-son,,email,nonsense,,,,,,", "line 3, address: not a mail address"),
        ("p-son,,sms_aliyun,12,,,,,,", "line 3, address: not a phone"),
        ("p-son,,email,a@mail.example,,,Mars/Base,,,", "line 3, zone: not a zone"),
        ("p-son,,email,a@mail.example,,,,22:00,,", "line 3, quiet_until: both or neither"),
    ],
)
def test_one_line_that_is_wrong_and_nothing_is_written(
    world: World, tmp_path: Path, row: str, said: str
) -> None:
    file = write(tmp_path, "p-son,,email,son@mail.example,,,,,,", row)
    code, words = run(world, "import", file)
    assert code == 1 and said in words and "nonsense" not in words
    assert world.rows("SELECT 1 FROM contact_channels") == []


def test_a_file_with_other_columns_is_refused(world: World, tmp_path: Path) -> None:
    file = tmp_path / "other.csv"
    file.write_text("name,phone\nLi,139\n")
    code, words = run(world, "import", str(file))
    assert code == 1 and "columns of" in words


def test_every_channel_in_the_settings_has_a_line_and_trouble_ends_with_one(world: World) -> None:
    assert run(world, "status")[0] == 0
    world.write(
        "INSERT INTO channel_states (channel, opened_at, last_ok_at) VALUES ('email', now(), now()),"
        " ('old', NULL, now())"
    )
    code, words = run(world, "status")
    assert code == 0 and words.startswith("ok   channel email") and "old" not in words
    world.write("UPDATE channel_states SET failures_in_row = 3, last_refusal = 'refused: 45009'")
    code, words = run(world, "status")
    assert code == 1 and "FAIL channel email: last refusal 'refused: 45009'" in words


def test_a_community_gets_a_group_robot_of_its_own(world: World) -> None:
    def add(community: str, channel: str, address: str) -> tuple[int, str]:
        words = ["group", community, channel, "--database-url", world.url]
        found = CliRunner().invoke(command, words, input=address)
        return found.exit_code, found.output

    assert add("wenchang", "dingtalk", "t0ken s3cret\n") == (0, "added\n")
    assert add("wenchang", "dingtalk", "t0ken  s3cret\n") == (0, "it is there already\n")
    for community, channel, address in (
        ("nowhere", "dingtalk", "a b"), ("wenchang", "dingtalk", "a"), ("wenchang", "wecom_bot", ""), ("wenchang", "email", "a"),
    ):  # fmt: skip
        assert add(community, channel, address)[0] != 0
    row = world.rows("SELECT recipient, channel, address FROM contact_channels")
    assert [(item["recipient"], AddressBook().open(item["channel"], item["address"])) for item in row] == [
        ("community:wenchang", "t0ken s3cret")
    ]
