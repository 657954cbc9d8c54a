"""How property tests run here: no deadline per example, because a slow machine is no fault, and a failure that says
how to have it again.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "kaimen", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("kaimen")
