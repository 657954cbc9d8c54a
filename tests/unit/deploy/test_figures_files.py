"""Rules, alarms and the dashboard against the code: every figure they name is one that a service offers."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from prometheus_client import REGISTRY

import alerts.metrics
import alerts.watchdog.metrics  # noqa: F401
import console.metrics  # noqa: F401
import edge.metrics  # noqa: F401
import ingest.metrics  # noqa: F401
from tests.compose_file import REPOSITORY

DEPLOY = REPOSITORY / "deploy"
FILES = [DEPLOY / "alarms.yml", DEPLOY / "rules.yml", DEPLOY / "grafana" / "kaimen.json"]


def offered() -> dict[str, set[str]]:
    """Names of series, each with its labels."""
    found: dict[str, set[str]] = {}
    for collector in list(REGISTRY._collector_to_names):
        labels = set(getattr(collector, "_labelnames", ()))
        for family in collector.describe() if hasattr(collector, "describe") else collector.collect():
            ending = "_total" if family.type == "counter" else ""
            found[family.name + ending] = labels
            if family.type == "histogram":
                found |= {family.name + part: labels for part in ("_bucket", "_count", "_sum")}
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_figure_that_is_named_exists(path: Path) -> None:
    named = set(re.findall(r"\bkaimen_\w+", path.read_text(encoding="utf-8")))
    assert named
    assert sorted(named - set(offered())) == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_label_that_is_chosen_by_exists(path: Path) -> None:
    known = offered()
    wrong = [
        (name, label)
        for name, inside in re.findall(r"\b(kaimen_\w+)\{([^}]*)\}", path.read_text(encoding="utf-8"))
        for label in re.findall(r"(\w+)=~?\\?\"", inside)
        if label not in known.get(name, set())
    ]
    assert wrong == []


def test_rules_say_what_to_do_and_record_what_they_use() -> None:
    (group,) = yaml.safe_load((DEPLOY / "rules.yml").read_text(encoding="utf-8"))["groups"]
    recorded = {rule["record"] for rule in group["rules"] if "record" in rule}
    for rule in group["rules"]:
        assert set(re.findall(r"\bkaimen:[\w:]+", rule["expr"])) <= recorded
        if "alert" in rule:
            assert rule["annotations"]["summary"] and rule["annotations"]["action"]
            assert rule["labels"]["severity"] in ("page", "ticket")


def test_the_dashboard_has_panels_that_do_not_lie_over_one_another() -> None:
    board = json.loads((DEPLOY / "grafana" / "kaimen.json").read_text(encoding="utf-8"))
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in board["panels"]]
    assert len(set(places)) == len(places) == len({panel["id"] for panel in board["panels"]})
    assert all(target["expr"] for panel in board["panels"] for target in panel["targets"])
