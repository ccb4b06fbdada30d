"""How long the property tests look for a counterexample."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "short", max_examples=60, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("short")
