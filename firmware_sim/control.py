"""Steering a running street: JSON files enter a directory, their answers take their place as ``.done``.

A command is ``NAME.json``; it is claimed by renaming, so it is applied by one simulator, and after a kill in between
it is applied again rather than lost. Commands: ``{"do": "open_door" | "come_home" | "keep_shut" | "release" | "sos" |
"stranger", "household": id}``, ``{"do": "unplug_gateway" | "plug_gateway", "gateway": id}``,
``{"do": "power_cut", "device": id}``.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from firmware_sim.street import CommandError, Street

COMMAND_BYTES_MAX = 64 * 1024
COMMANDS_PER_TURN_MAX = 100


def order(directory: Path, **command: str) -> Path:
    """Put a command into the directory; return the path at which its answer will appear."""
    directory.mkdir(parents=True, exist_ok=True)
    name = uuid.uuid4().hex
    draft = directory / f".{name}.draft"
    draft.write_text(json.dumps(command))
    draft.replace(directory / f"{name}.json")
    return directory / f"{name}.done"


Answers = list[tuple[Path, dict[str, Any]]]


def obey(directory: Path, street: Street) -> Answers:
    """Apply the commands that wait, in order of their names; the answers are for ``answer``, once all is kept."""
    if not directory.is_dir():
        return []
    waiting = sorted([*directory.glob("*.taken"), *directory.glob("*.json")])[:COMMANDS_PER_TURN_MAX]
    answers: Answers = []
    for path in waiting:
        taken = path.with_suffix(".taken")
        if path != taken:
            path.replace(taken)
        answers.append((taken, _apply(taken, street)))
    return answers


def answer(answers: Answers) -> None:
    """Put the answers in the place of the commands."""
    for taken, found in answers:
        draft = taken.with_name(f".{taken.stem}.{os.getpid()}")
        draft.write_text(json.dumps(found, ensure_ascii=False))
        draft.replace(taken.with_suffix(".done"))
        taken.unlink()


def _apply(path: Path, street: Street) -> dict[str, Any]:
    try:
        command = _parse(path)
        return {"ok": True, "do": command["do"], "result": _do(command, street)}
    except CommandError as error:
        return {"ok": False, "error": str(error)}


def _parse(path: Path) -> dict[str, str]:
    if path.stat().st_size > COMMAND_BYTES_MAX:
        raise CommandError(f"a command has at most {COMMAND_BYTES_MAX} bytes")
    try:
        command = json.loads(path.read_bytes())
    except ValueError as error:
        raise CommandError(f"not JSON: {error}") from error
    if not isinstance(command, dict) or not isinstance(command.get("do"), str):
        raise CommandError('a command is an object with "do"')
    return command


def _do(command: dict[str, str], street: Street) -> dict[str, Any]:
    acts: dict[str, tuple[str, Callable[[str], dict[str, Any]]]] = {
        "open_door": ("household", street.open_door),
        "come_home": ("household", street.come_home),
        "keep_shut": ("household", street.keep_shut),
        "release": ("household", street.release),
        "sos": ("household", street.press_sos),
        "stranger": ("household", street.send_stranger),
        "unplug_gateway": ("gateway", street.unplug_gateway),
        "plug_gateway": ("gateway", street.plug_gateway),
        "power_cut": ("device", street.cut_power),
    }
    if command["do"] not in acts:
        raise CommandError(f"unknown command {command['do']!r}; known: {', '.join(acts)}")
    subject, act = acts[command["do"]]
    if not isinstance(command.get(subject), str):
        raise CommandError(f'"{command["do"]}" needs "{subject}"')
    return act(command[subject])
