"""All series that there are, by who counts them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import controller_tier.metrics
import repository_tier.metrics
import service_tier.metrics
import tier_runtime.metrics.series
from tier_runtime.metrics.families import Family

GROUPS: Mapping[str, tuple[Family, ...]] = MappingProxyType(
    {
        "every tier, as far as it does such things": tier_runtime.metrics.series.SERIES,
        "the controller tier": controller_tier.metrics.SERIES,
        "the service tier": service_tier.metrics.SERIES,
        "the repository tier and the worker": repository_tier.metrics.SERIES,
    }
)
FAMILIES: Mapping[str, Family] = MappingProxyType(
    {family.name: family for group in GROUPS.values() for family in group}
)
# The family of each name that Prometheus keeps samples under.
SAMPLES: Mapping[str, Family] = MappingProxyType(
    {name: family for family in FAMILIES.values() for name in family.sample_names}
)
