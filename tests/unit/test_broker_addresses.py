"""Broker addresses as an operator writes them, and the order in which the nodes of a cluster are tried."""

from __future__ import annotations

from pathlib import Path

import pytest

from kaimen.broker import Nodes, parse_broker_urls
from kaimen.broker_tls import BrokerTls


def test_one_address_has_the_port_of_its_scheme() -> None:
    (plain,) = parse_broker_urls("mqtt://broker")
    (secure,) = parse_broker_urls("mqtts://broker", security=BrokerTls(Path("ca.crt")))
    assert (plain.port, plain.tls) == (1883, False)
    assert (secure.port, secure.tls, secure.security.ca_file) == (8883, True, Path("ca.crt"))


def test_several_nodes_are_separated_by_commas() -> None:
    nodes = parse_broker_urls("mqtt://a:1, mqtts://b ,mqtt://[::1]:3,", user="edge", password="word")
    assert [str(node) for node in nodes] == ["a:1", "b:8883", "::1:3"]
    assert {(node.user, node.password) for node in nodes} == {("edge", "word")}


def test_a_user_in_the_address_goes_before_the_one_given() -> None:
    (node,) = parse_broker_urls("mqtt://user:w%40rd@broker:1884", user="edge", password="other")
    assert (node.user, node.password) == ("user", "w@rd")


@pytest.mark.parametrize(
    "text", ["", " , ", "http://broker", "broker:1883", "mqtt://", "mqtt://a,b", "mqtt://a:x"]
)
def test_another_form_is_refused_with_the_right_one(text: str) -> None:
    with pytest.raises(ValueError, match="mqtt://host:port"):
        parse_broker_urls(text)


def test_an_error_does_not_repeat_a_password() -> None:
    with pytest.raises(ValueError, match="mqtt://") as raised:
        parse_broker_urls("amqp://user:secret@broker")
    assert "secret" not in str(raised.value)


def test_a_node_named_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        parse_broker_urls("mqtt://a:1883,mqtt://a")


def test_every_node_is_tried_before_anybody_waits() -> None:
    nodes = Nodes(parse_broker_urls("mqtt://a,mqtt://b,mqtt://c"), first=1)
    tried, waits = [], []
    for _ in range(6):
        tried.append(nodes.current.host)
        waits.append(nodes.move_on())
    assert tried == ["b", "c", "a", "b", "c", "a"]
    assert waits == [False, False, True, False, False, True]


def test_a_node_that_worked_begins_a_new_round() -> None:
    nodes = Nodes(parse_broker_urls("mqtt://a,mqtt://b"), first=0)
    assert not nodes.move_on()
    nodes.worked()
    assert not nodes.move_on()
    assert nodes.move_on()


def test_a_single_address_waits_after_each_failure() -> None:
    nodes = Nodes(parse_broker_urls("mqtt://a"))
    assert [nodes.move_on(), nodes.move_on()] == [True, True]


def test_not_everybody_begins_at_the_same_node() -> None:
    addresses = parse_broker_urls("mqtt://a,mqtt://b,mqtt://c")
    assert {Nodes(addresses).current.host for _ in range(200)} == {"a", "b", "c"}
