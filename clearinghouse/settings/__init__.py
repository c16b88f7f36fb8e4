"""What the operator decides: one TOML file, read whole or refused.

The file alone decides.  An environment variable cannot change who is believed, and a word that is
not a setting is an error, because a misspelt restriction would be none.
``docs/reference/settings.md`` describes every setting.
"""

from __future__ import annotations

from clearinghouse.settings.model import Broker, Log, LogFormat, Settings, Topic
from clearinghouse.settings.reading import read_settings
from clearinghouse.settings.secrets import read_secret

__all__ = ["Broker", "Log", "LogFormat", "Settings", "Topic", "read_secret", "read_settings"]
