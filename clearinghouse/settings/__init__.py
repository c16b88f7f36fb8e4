"""What the operator decides: one TOML file, read whole or refused.

The file alone decides.  An environment variable cannot change who is believed, and a word that is
not a setting is an error, because a misspelt restriction would be none.
``docs/reference/settings.md`` describes every setting.
"""

from __future__ import annotations

from clearinghouse.settings.federation import Federation, Http
from clearinghouse.settings.model import AccessModel, Broker, Log, LogFormat, Settings, Store, Topic
from clearinghouse.settings.people import Person
from clearinghouse.settings.reading import read_settings
from clearinghouse.settings.redirect import Fronted, Node, Redirect
from clearinghouse.settings.secrets import read_secret
from clearinghouse.settings.standing import Control, Desk, Ledger, Rates, Reconcile, Signing

__all__ = [
    "AccessModel",
    "Broker",
    "Control",
    "Desk",
    "Federation",
    "Fronted",
    "Http",
    "Ledger",
    "Log",
    "LogFormat",
    "Node",
    "Person",
    "Rates",
    "Reconcile",
    "Redirect",
    "Settings",
    "Signing",
    "Store",
    "Topic",
    "read_secret",
    "read_settings",
]
