"""``docker-compose.yml`` as the compose tool would see it: the file and an environment enter, plain data leaves."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).parents[1]
COMPOSE_PATH = REPOSITORY / "docker-compose.yml"

_REFERENCE = re.compile(r"\$(?:\$|\{(?P<name>\w+)(?:(?P<how>:-|:\?)(?P<rest>[^}]*))?\})")


class MissingSettingError(LookupError):
    """A variable that the file requires and the environment does not have."""


def interpolate(text: str, environment: Mapping[str, str]) -> str:
    """Replace ``${NAME}``, ``${NAME:-default}`` and ``${NAME:?message}``; ``$$`` is one dollar sign."""

    def value_of(match: re.Match[str]) -> str:
        name = match["name"]
        if name is None:
            return "$"
        value = environment.get(name, "")
        if value or match["how"] is None:
            return value
        if match["how"] == ":?":
            raise MissingSettingError(f"{name}: {match['rest']}")
        return match["rest"]

    return _REFERENCE.sub(value_of, text)


def _interpolate_all(value: Any, environment: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return interpolate(value, environment)
    if isinstance(value, list):
        return [_interpolate_all(item, environment) for item in value]
    if isinstance(value, dict):
        return {key: _interpolate_all(item, environment) for key, item in value.items()}
    return value


def load_compose(environment: Mapping[str, str]) -> dict[str, Any]:
    """Read the project's compose file with anchors merged and variables replaced."""
    loaded = _interpolate_all(yaml.safe_load(COMPOSE_PATH.read_text(encoding="utf-8")), environment)
    assert isinstance(loaded, dict)
    return loaded


def compose_schema() -> dict[str, Any]:
    """Return the compose specification's own JSON schema, as the check-jsonschema package carries it."""
    vendored = files("check_jsonschema").joinpath("builtin_schemas", "vendor", "compose-spec.json")
    schema = json.loads(vendored.read_text(encoding="utf-8"))
    assert isinstance(schema, dict)
    return schema


def read_environment_file(path: Path) -> dict[str, str]:
    """Read ``NAME=value`` lines, as the compose tool reads ``.env``."""
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
