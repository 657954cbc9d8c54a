"""The compose file against the specification's schema, and against what we promise of every service."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import Any

import click
import jsonschema
import pytest
import yaml
from prometheus_client import REGISTRY

from tests.compose_file import (
    COMPOSE_PATH,
    REPOSITORY,
    MissingSettingError,
    compose_schema,
    interpolate,
    load_compose,
)

ENVIRONMENT = {
    "KAIMEN_PUBLIC_URL": "https://kaimen.example",
    "KAIMEN_DATABASE_PASSWORD": "-",
    **{
        f"KAIMEN_DATABASE_PASSWORD_{login}": "-"
        for login in ("CONSOLE", "INGEST", "ALERTS", "WATCHDOG", "RIGHTS")
    },
    "KAIMEN_BROKER_PASSWORD_EDGE": "-",
    "KAIMEN_BROKER_PASSWORD_INGEST": "-",
    "KAIMEN_EDGE_CREDENTIAL_KEY": "-",
}
OWN_SERVICES = (
    "broker", "broker-2", "broker-3", "migrate", "edge", "ingest", "ingest-2", "alerts", "console", "watchdog",
)  # fmt: skip


@pytest.fixture
def compose() -> dict[str, Any]:
    return load_compose(ENVIRONMENT)


def test_the_file_follows_the_compose_specification(compose: dict[str, Any]) -> None:
    jsonschema.validators.validator_for(compose_schema())(compose_schema()).validate(compose)


def test_the_schema_would_refuse_a_misspelt_key(compose: dict[str, Any]) -> None:
    compose["services"]["edge"]["restrat"] = "always"
    with pytest.raises(jsonschema.ValidationError, match="restrat"):
        jsonschema.validators.validator_for(compose_schema())(compose_schema()).validate(compose)


def test_the_compose_tool_itself_accepts_the_file_where_it_is_installed() -> None:
    docker = shutil.which("docker")
    if (
        docker is None
        or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode
    ):
        pytest.skip("no docker compose plug-in on this machine")
    checked = subprocess.run(
        [docker, "compose", "--file", COMPOSE_PATH, "config", "--quiet"],
        env={**ENVIRONMENT, "PATH": "/usr/bin:/bin", "HOME": "/nonexistent"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stderr


def test_every_name_that_is_used_is_defined(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for name, service in services.items():
        assert set(service["networks"]) <= set(compose["networks"]), name
        assert set(service.get("depends_on", {})) <= set(services), name
        for kind in ("configs", "secrets"):
            used = {item if isinstance(item, str) else item["source"] for item in service.get(kind, [])}
            assert used <= set(compose[kind]), (name, kind)
        for volume in service.get("volumes", []):
            assert volume.split(":")[0] in compose["volumes"], (name, volume)


def test_nobody_waits_for_a_service_that_cannot_say_it_is_healthy(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for name, service in services.items():
        for other, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert "healthcheck" in services[other], (name, other)
            else:
                assert how["condition"] == "service_completed_successfully"
                assert services[other]["restart"] == "no", (name, other)


def test_everything_that_keeps_running_is_restarted_and_watched(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        if name != "migrate":
            assert service["restart"] == "unless-stopped", name
            assert service["healthcheck"]["test"][0] == "CMD", name


@pytest.mark.parametrize("name", [*OWN_SERVICES, "prometheus"])
def test_a_service_can_change_nothing_but_its_own_data(compose: dict[str, Any], name: str) -> None:
    service = compose["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    user, group = service["user"].split(":")
    assert int(user) > 0 and int(group) > 0
    assert "privileged" not in service


def test_images_are_pinned_by_number(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert re.search(r":v?\d+\.\d+\.\d+", service["image"]), (name, service["image"])


def test_our_image_carries_the_version_of_this_tree(compose: dict[str, Any]) -> None:
    from kaimen import __version__

    assert {compose["services"][name]["image"] for name in OWN_SERVICES} == {f"kaimen:{__version__}"}


def test_the_database_can_be_reached_by_services_only(compose: dict[str, Any]) -> None:
    database = compose["services"]["database"]
    assert "ports" not in database
    assert database["networks"] == ["inner"]
    assert compose["networks"]["inner"]["internal"] is True


def test_pages_and_figures_are_offered_to_this_machine_alone_by_default(compose: dict[str, Any]) -> None:
    for name in ("console", "prometheus"):
        assert all(port.startswith("127.0.0.1:") for port in compose["services"][name]["ports"]), name


def test_devices_reach_the_broker_by_tls_only(compose: dict[str, Any]) -> None:
    assert [port.rsplit(":", 1)[1] for port in compose["services"]["broker"]["ports"]] == ["8883"]
    settings = (REPOSITORY / "deploy" / "nats.conf").read_text(encoding="utf-8")
    assert re.search(r"mqtt \{[^}]*listen: 0\.0\.0\.0:8883[^}]*tls \{", settings)
    assert len(re.findall(r"0\.0\.0\.0", settings)) == 1


def test_a_cluster_offers_devices_tls_alone_and_its_nodes_prove_who_they_are(compose: dict[str, Any]) -> None:
    settings = (REPOSITORY / "deploy" / "nats-cluster.conf").read_text(encoding="utf-8")
    assert re.search(r"mqtt \{[^}]*listen: 0\.0\.0\.0:8883[^}]*tls \{", settings)
    assert re.search(r"cluster \{[^}]*listen: 0\.0\.0\.0:6222[^}]*tls \{[^}]*verify: true", settings)
    assert len(re.findall(r"0\.0\.0\.0", settings)) == 2
    nodes = {name for name in compose["services"] if name.startswith("broker")}
    assert set(re.findall(r"nats://([\w-]+):6222", settings)) == nodes
    names = [compose["services"][name]["environment"]["KAIMEN_BROKER_NODE"] for name in nodes]
    assert sorted(names) == sorted(nodes)
    stores = [compose["services"][name]["volumes"] for name in nodes]
    assert len({str(volumes) for volumes in stores}) == len(nodes)


def test_what_a_cluster_adds_is_not_started_without_its_profile(compose: dict[str, Any]) -> None:
    more = {name for name, service in compose["services"].items() if "cluster" in service.get("profiles", [])}
    assert more == {"broker-2", "broker-3", "ingest-2"}
    for name, service in compose["services"].items():
        if "profiles" not in service:
            assert not set(service.get("depends_on", {})) & more, name
    workers = [compose["services"][name]["environment"] for name in ("ingest", "ingest-2")]
    assert workers[1] == {**workers[0], "KAIMEN_INGEST_WORKER": "ingest-2"}


def test_the_file_carries_no_secret() -> None:
    """Every password-like variable is taken from outside and refused when empty."""
    raw = yaml.safe_load(COMPOSE_PATH.read_text(encoding="utf-8"))
    for name, service in raw["services"].items():
        for variable, value in service.get("environment", {}).items():
            if re.search(r"PASS|SECRET|KEY|TOKEN", variable):
                assert str(value).startswith(("${", "/run/secrets/")), (name, variable)
    for secret in raw["secrets"].values():
        assert secret["file"].startswith("deploy/private/")
    with pytest.raises(MissingSettingError, match="deploy/prepare"):
        load_compose({})


def test_every_service_with_figures_is_scraped(compose: dict[str, Any]) -> None:
    settings = yaml.safe_load((REPOSITORY / "deploy" / "prometheus.yml").read_text(encoding="utf-8"))
    scraped = {
        target
        for job in settings["scrape_configs"]
        for group in job["static_configs"]
        for target in group["targets"]
    } | {
        f"{name}:{looked_up['port']}"
        for job in settings["scrape_configs"]
        for looked_up in job["dns_sd_configs"]
        for name in looked_up["names"]
    }
    offered = {
        f"{name}:{service['environment']['KAIMEN_METRICS_PORT']}"
        for name, service in compose["services"].items()
        if service.get("environment", {}).get("KAIMEN_METRICS_PORT", "0") != "0"
    }
    assert scraped == offered


def test_every_alarm_is_about_a_figure_that_exists_and_says_what_to_do() -> None:
    import alerts.metrics
    import alerts.watchdog.metrics  # noqa: F401
    import console.metrics  # noqa: F401
    import edge.metrics  # noqa: F401
    import ingest.metrics  # noqa: F401

    known = {"up"} | {
        f"{family.name}_total" if family.type == "counter" else family.name for family in REGISTRY.collect()
    }
    alarms = yaml.safe_load((REPOSITORY / "deploy" / "alarms.yml").read_text(encoding="utf-8"))
    for rule in (rule for group in alarms["groups"] for rule in group["rules"]):
        used = set(re.findall(r"\bkaimen_\w+", rule["expr"]))
        assert used <= known, (rule["alert"], used - known)
        assert rule["annotations"]["summary"] and rule["annotations"]["action"]
        assert rule["labels"]["severity"] in ("page", "ticket")


def test_every_setting_is_one_that_its_service_knows(compose: dict[str, Any]) -> None:
    """A misspelt variable would be ignored in silence."""
    from console.cli import db_migrate
    from console.database_roles import password_variable
    from kaimen import settings
    from kaimen.rights import ROLES

    classes = {
        "edge": settings.EdgeSettings,
        "ingest": settings.IngestSettings,
        "ingest-2": settings.IngestSettings,
        "alerts": settings.AlertsSettings,
        "console": settings.ConsoleSettings,
        "watchdog": settings.WatchdogSettings,
    }
    known = {
        name: {f"KAIMEN_{field.upper()}" for field in fields.model_fields} for name, fields in classes.items()
    }
    known["migrate"] = {
        *(f"KAIMEN_{field.upper()}" for field in settings.DatabaseSettings.model_fields),
        *(str(option.envvar) for option in db_migrate.params if isinstance(option, click.Option)),
        *map(password_variable, ROLES),
    }
    for name, names in known.items():
        variables = compose["services"][name]["environment"]
        assert {variable for variable in variables if variable.startswith("KAIMEN_")} <= names, name


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${A}", "1"),
        ("${A:-2}", "1"),
        ("${B:-2}", "2"),
        ("${B}", ""),
        ("x${A}y$$z", "x1y$z"),
        ("${A:?no}", "1"),
        ("127.0.0.1:${B:-80}:${A}", "127.0.0.1:80:1"),
    ],
)
def test_variables_are_replaced_as_the_specification_says(text: str, expected: str) -> None:
    assert interpolate(text, {"A": "1", "B": ""}) == expected
