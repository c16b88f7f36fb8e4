"""Properties: what must hold for every input, and a machine that looks for the one for which it does not.

Two profiles: ``ci``, the default, is short and the same on every run; ``thorough`` is neither:
``HYPOTHESIS_PROFILE=thorough pytest tests/properties``.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

_CALM = (HealthCheck.too_slow, HealthCheck.data_too_large)  # a busy machine is no failed property

settings.register_profile("ci", deadline=None, derandomize=True, max_examples=40, database=None, suppress_health_check=_CALM)
settings.register_profile("thorough", deadline=None, max_examples=2_000, print_blob=True, suppress_health_check=_CALM)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
