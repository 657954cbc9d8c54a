"""The JSON API against its own description: no failure of ours, every answer in the promised shape, every error a problem.

The description is read by schemathesis, which makes requests that fit it and requests that do not. The number for
each address is small here; ``KAIMEN_TEST_API_CASES`` names a larger one.
"""

from __future__ import annotations

import gzip
import json
import os
from typing import Any
from urllib.parse import urlencode

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.core.transport import Response
from schemathesis.specs.openapi import checks as openapi_checks

from console.api.description import PATH, describe, routes_in
from console.app import create_app
from console.identity.sessions import csrf_of
from kaimen.clock import ManualClock
from tests.integration.console_world import HOST
from tests.proof.asking import Answer, Asker, RolledBackPool
from tests.proof.fix_proof import Place, proof_settings

CASES = int(os.environ.get("KAIMEN_TEST_API_CASES", "3"))
CHECKS = [
    not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_schema_conformance,
]
#: Who asks which address: who is let in there, so that more than refusals is seen.
ASKS = {"/api/quarantine": "admin", "/api/tasks/{task_id}/begin": "watcher"}


@pytest.fixture(scope="module")
def schema(place: Place) -> Any:
    """The description as schemathesis reads it from the application."""
    return schemathesis.openapi.from_dict(json.loads(place.asker.ask("", "GET", PATH).body))


def _send(asker: Asker, who: str, case: Any) -> tuple[Answer, Response]:
    """Send a case of schemathesis; give its answer back in the form it is judged in."""
    made = requests.Request(**{**case.as_transport_kwargs(base_url=HOST), "cookies": None}).prepare()
    path = made.path_url
    body = made.body or b""
    headers = {name.lower(): _text(value) for name, value in made.headers.items()}
    headers.pop("cookie", None)
    headers["x-csrf-token"] = csrf_of(asker.tokens[who])
    content = body.encode() if isinstance(body, str) else bytes(body)
    answer = asker.ask(who, str(made.method), path, headers=headers, body=content)
    return answer, _judged(answer, made)


def _judged(answer: Answer, made: requests.PreparedRequest) -> Response:
    """What the client reads: a body that came packed is unpacked, as every client does that says it takes such."""
    headers = {name: [value] for name, value in answer.headers.items()}
    packed = answer.headers.get("content-encoding") == "gzip" and answer.body
    body = gzip.decompress(answer.body) if packed else answer.body
    return Response(answer.status, headers, body, made, elapsed=0.0, verify=False)


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def test_the_description_has_a_shape_for_every_answer() -> None:
    app = create_app(
        proof_settings("postgresql:///none"), ManualClock(0), RolledBackPool.__new__(RolledBackPool)
    )  # type: ignore[arg-type]
    document = describe(app)
    described = {(method, path) for path, item in document["paths"].items() for method in item}
    ours = {
        (method.lower(), route.path)
        for route in routes_in(app.routes)
        if route.path.startswith("/api/") and route.include_in_schema
        for method in route.methods
    }
    assert described == ours
    for path, item in document["paths"].items():
        for method, operation in item.items():
            good = {code: answer for code, answer in operation["responses"].items() if code.startswith("2")}
            assert good, (method, path)
            for code, answer in good.items():
                schema = answer.get("content", {}).get("application/json", {}).get("schema")
                assert code == "204" or path == "/api/stream" or "$ref" in (schema or {}), (
                    method,
                    path,
                    code,
                )
            assert "application/problem+json" in operation["responses"]["4XX"]["content"]
    assert "HTTPValidationError" not in json.dumps(document)


def _judge(asker: Asker, who: str, operation: Any, mode: schemathesis.GenerationMode) -> None:
    """Send cases of one operation: those that fit its description, or those that do not."""

    @settings(
        max_examples=CASES, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy(generation_mode=mode))
    def judge(case: Any) -> None:
        answer, response = _send(asker, who, case)
        assert answer.status < 500, (case.method, case.formatted_path, answer.text[:500])
        if answer.status >= 400:
            _is_problem(answer)
        # What fits the description may still be refused: nothing of that number, nothing possible now.
        case.validate_response(response, checks=CHECKS)

    judge()


@pytest.mark.slow
def test_no_request_fails_and_every_answer_is_as_described(place: Place, schema: Any) -> None:
    judged = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path == "/api/stream":
            continue
        for mode in (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE):
            try:
                _judge(place.asker, ASKS.get(operation.path, "clerk"), operation, mode)
                judged += 1
            except (Unsatisfiable, NotImplementedError):
                # Where nothing can be sent that does not fit: no parameter, no body.
                assert mode is schemathesis.GenerationMode.NEGATIVE
    assert judged > 20


def test_what_is_there_answers_in_its_shape_and_what_is_not_with_a_problem(place: Place, schema: Any) -> None:
    asker, values = place.asker, place.values
    for found in schema.get_all_operations():
        operation = found.ok()
        who = ASKS.get(operation.path, "clerk")
        if operation.method.upper() != "GET" or operation.path == "/api/stream":
            continue
        query = {"at": "2025-11-20T00:00:00Z"} if operation.path.endswith("/why") else {}
        for place, status in (("own", 200), ("missing", 404)):
            names = {item.name for item in operation.path_parameters}
            case = operation.Case(path_parameters={name: values[place][name] for name in names}, query=query)
            path = case.formatted_path + (f"?{urlencode(query)}" if query else "")
            answer = asker.ask(who, "GET", path)
            if place == "missing" and not names:
                answer = asker.ask("", "GET", path)
                status = 401
            assert answer.status == status, (operation.path, answer.text[:300])
            if status == 200:
                response = _judged(answer, requests.Request("GET", HOST + path).prepare())
                case.validate_response(response, checks=[openapi_checks.response_schema_conformance])
            else:
                _is_problem(answer)


def test_errors_outside_the_routes_are_problems_too(place: Place) -> None:
    asker = place.asker
    for method, path, status in (
        ("GET", "/api/no-such", 404), ("DELETE", "/api/cases", 405), ("GET", "/api/cases?stage=" + "x" * 9_000, 414),
        ("GET", "/api/cases?limit=%00", 422), ("GET", "/api/households/%ed%a0%80", 422),
    ):  # fmt: skip
        answer = asker.ask("clerk", method, path)
        assert answer.status == status or (status == 422 and answer.status == 404), (path, answer.status)
        _is_problem(answer)
    _is_problem(asker.ask("clerk", "POST", "/api/cases/1/note", body=b"x" * 70_000))


def _is_problem(answer: Answer) -> None:
    assert answer.headers["content-type"].startswith("application/problem+json"), answer.headers
    problem = json.loads(answer.body)
    assert problem["status"] == answer.status and problem["title"] and problem["type"] == "about:blank"
    assert problem["detail"] and problem["mend"] and problem["code"]
    assert "Traceback" not in answer.text and "psycopg" not in answer.text
