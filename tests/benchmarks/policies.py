"""One unsigned policy, no delegation: beside cedarpy."""

from __future__ import annotations

import json

from cedarpy import Decision, Entities, PolicySet, is_authorized

from clearinghouse.keynote import Assertions
from tests.benchmarks.community import FACTS, VALUES, policy
from tests.benchmarks.measure import Effort, Side, race
from tests.benchmarks.report import Goal, Section

_CEDAR = """permit(principal == User::"analyst", action == Action::"subscribe", resource == Topic::"incidents") when {
  context.app == "xmpp" && context.domain == "b.example" && context.level >= 2 && context.tls == "1.3" && context.port < 6000
};"""
_REQUEST = {
    "principal": {"type": "User", "id": "analyst"},
    "action": {"type": "Action", "id": "subscribe"},
    "resource": {"type": "Topic", "id": "incidents"},
    "context": {"app": "xmpp", "domain": "b.example", "level": 2, "tls": "1.3", "port": 5269},
}


def policies(effort: Effort) -> Section:
    """Both read their policy beforehand and take the request's attributes each time."""
    rules, entities = PolicySet.from_str(_CEDAR), Entities.from_json_str(json.dumps([]))
    assertions = Assertions(policies=[policy('"analyst"')])
    us = race(
        (
            Side("cedarpy", lambda: is_authorized(_REQUEST, rules, entities).decision, Decision.Allow),
            Side("ours", lambda: assertions.query(authorizers=["analyst"], action=FACTS, values=VALUES).value, "allow"),
        ),
        effort,
    )
    ratio = us["cedarpy"] / us["ours"]
    return Section(
        "Decision by one unsigned policy of five comparisons (us)",
        ("", "cedarpy", "ours", "cedarpy / ours"),
        [("one policy", us["cedarpy"], us["ours"], ratio)],
        (Goal("one policy: cedarpy / ours", "at least", 5.0, ratio),),
        ("cedarpy: policies and entities parsed beforehand, ids as dictionaries, which is its quickest way; most of it is JSON",),
    )
