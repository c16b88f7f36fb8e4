"""The running service: the pure core joined to files, a store and brokers; time and chance come in here.

``service`` puts the parts together.  ``questions`` makes requests of what a broker asks, ``intake`` has
them decided one by one, ``brokers`` keeps the topics and carries decisions out, ``policy`` follows the
folders, ``checks`` says what would be loaded.
"""

from __future__ import annotations

from clearinghouse.runtime.parts import Service
from clearinghouse.runtime.service import running, serve

__all__ = ["Service", "running", "serve"]
