"""Every person at every route, with objects of the own place, of a foreign one, and with none: the table decides.

A route without a row fails; so does a row without a route. Whoever is refused learns nothing: an object of another
place and one that does not exist have the same answer, to the byte but for the request's own id.
"""

from __future__ import annotations

import re

import pytest

from console.app import create_app
from console.identity.sessions import csrf_of
from kaimen.clock import ManualClock
from tests.integration.console_world import ROLES, World
from tests.proof.asking import Answer, Asker, RolledBackPool, address, routes_of
from tests.proof.fix_proof import Place, proof_settings
from tests.proof.objects import Values, values_for
from tests.proof.sent import ACTS, body_of, fields_of, query_of
from tests.proof.table import read_table

TABLE = read_table()
#: Addresses that are their own proof, of nobody who is signed in; their forms carry no token of a session.
WITHOUT_SESSION = ("/sign-in", "/kiosk/", "/bind/", "/m/", "/in/", "/voice/", "/language", "/sign-out")


def test_every_route_has_its_row_and_every_row_its_route() -> None:
    app = create_app(
        proof_settings("postgresql:///none"), ManualClock(0), RolledBackPool.__new__(RolledBackPool)
    )  # type: ignore[arg-type]
    assert set(routes_of(app)) == set(TABLE)
    for (method, path), row in TABLE.items():
        assert ("{" in path) == (row.foreign is not None), (method, path)


def _is_let_in(answer: Answer) -> bool:
    assert 200 <= answer.status < 500, (answer.status, answer.text[:300])
    to_sign_in = answer.status == 303 and answer.headers["location"].startswith("/sign-in")
    return answer.status not in (401, 403, 404) and not to_sign_in


def _ask(world: World, asker: Asker, who: str, method: str, path: str, values: Values) -> Answer:
    chosen = {**values_for(path, values), **ACTS.get(path, {})}
    fields = {name: address(value, chosen) for name, value in fields_of(path).items()}
    if path.startswith("/kiosk/"):
        fields["csrf"] = csrf_of(str(chosen["token"]))
    body = body_of(path, world.now) if method == "POST" else None
    headers = {}
    if body is not None:
        headers = {"content-type": "application/json"}
    if (body is not None or path.startswith("/field/")) and who:
        headers["x-csrf-token"] = headers["x-kaimen-csrf"] = csrf_of(asker.tokens[who])
    answer = asker.ask(
        who, method, address(path + query_of(path), chosen), fields=fields, body=body, headers=headers
    )
    if answer.headers.get("content-type", "").startswith("text/html"):
        assert "<script>alert" not in answer.text, (who, path)  # what people wrote stands there as text
    assert "Traceback" not in answer.text, (who, path)
    return answer


def _plain(answer: Answer) -> tuple[int, str]:
    """An answer without what is new in each: the request's id, the address it was asked by."""
    return answer.status, re.sub(r'[0-9a-f]{12}|value="/[^"]*"|data-now="\d+"|next=[^"]*', "", answer.text)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_each_person_at_each_route_is_let_in_or_refused_as_the_table_says(place: Place, part: int) -> None:
    world, asker, values = place.world, place.asker, place.values
    wrong: list[str] = []
    for (method, path), row in sorted(TABLE.items())[part::4]:
        for who in ("", *ROLES):
            own = _ask(world, asker, who, method, path, values["own"])
            if _is_let_in(own) != (who in row.own):
                wrong.append(f"{method} {path} own {who or 'nobody'}: {own.status}")
            if row.foreign is None or (who not in row.own | row.foreign and who not in ("grid", "director")):
                continue
            foreign = _ask(world, asker, who, method, path, values["foreign"])
            missing = _ask(world, asker, who, method, path, values["missing"])
            if _is_let_in(foreign) != (who in row.foreign):
                wrong.append(f"{method} {path} foreign {who or 'nobody'}: {foreign.status}")
            for let_in, answer in ((who in row.own, own), (who in row.foreign, foreign)):
                if not let_in and _plain(answer) != _plain(missing):
                    wrong.append(
                        f"{method} {path} {who or 'nobody'} tells {answer.status} from {missing.status}"
                    )
                elif not let_in and answer.statements != missing.statements:
                    more = set(answer.statements) ^ set(missing.statements)
                    wrong.append(
                        f"{method} {path} {who or 'nobody'} takes another way: {sorted(one[:50] for one in more)}"
                    )
    assert not wrong, "\n".join(wrong)


def test_no_form_acts_that_another_page_sent(place: Place) -> None:
    """Every writing route, by somebody it would let in: without the session's token, with another's, from elsewhere."""
    world, asker, values = place.world, place.asker, place.values
    asked = 0
    for (method, path), row in sorted(TABLE.items()):
        people = sorted(row.own - {""})
        if method == "GET" or path.startswith(WITHOUT_SESSION) or not people:
            continue
        target = address(path + query_of(path), {**values_for(path, values["own"])})
        body = body_of(path, world.now)
        kind = {"content-type": "application/x-www-form-urlencoded" if body is None else "application/json"}
        somebody_elses = csrf_of(asker.tokens["clerk" if people[0] != "clerk" else "police"])
        for headers in (
            {},
            {"x-csrf-token": "0" * 64},
            {"x-csrf-token": somebody_elses},
            {"origin": "https://evil.example"},
        ):
            form = b"csrf=" + headers.get("x-csrf-token", "").encode() if body is None else body
            answer = asker.ask(people[0], method, target, body=form, headers={**kind, **headers})
            assert answer.status == 403, (method, path, headers, answer.status)
        elsewhere = {"origin": "https://evil.example"}
        if body is None:
            answer = asker.ask(people[0], method, target, headers=elsewhere)
            assert answer.status == 403, (method, path)
        asked += 1
    assert asked > 60
