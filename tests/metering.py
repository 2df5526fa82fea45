"""What has been counted, as a test looks at it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import requests
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from tier_runtime.metrics.families import Family
from tier_runtime.metrics.meters import Meters


class Counted:
    """Series of a test's own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.meters = Meters(self.registry)

    def value(self, family: Family, *labels: str) -> float | None:
        """Return a counter's or a gauge's value, how many a histogram has seen; None if unknown."""
        name = f"{family.name}_count" if family.kind == "histogram" else family.name
        told = dict(zip(family.labels, labels, strict=True))
        return self.registry.get_sample_value(name, told)

    def all_labels(self, family: Family) -> set[tuple[str, ...]]:
        """Return the labels of all series of a family that there are."""
        return {
            tuple(sample.labels[label] for label in family.labels)
            for metric in self.registry.collect()
            for sample in metric.samples
            if sample.name in {family.name, f"{family.name}_count"}
        }


@dataclass(frozen=True, slots=True)
class Scraped:
    """What a port said at one moment."""

    samples: tuple[tuple[str, dict[str, str], float], ...]

    def names(self) -> set[str]:
        return {name for name, _, _ in self.samples}

    def total(self, name: str, /, **labels: str) -> float:
        """Return the sum of the samples with these labels, among others."""
        return sum(value for _, value in self._found(name, labels))

    def values_of(self, name: str, label: str) -> set[str]:
        return {told[label] for told, _ in self._found(name, {})}

    def _found(self, name: str, labels: dict[str, str]) -> Iterator[tuple[dict[str, str], float]]:
        for found, told, value in self.samples:
            if found == name and labels.items() <= told.items():
                yield told, value


def scrape(address: str) -> Scraped:
    """Read the metrics at host:port, as Prometheus does."""
    answer = requests.get(f"http://{address}/metrics", timeout=10)
    answer.raise_for_status()
    return Scraped(
        tuple(
            (sample.name, dict(sample.labels), sample.value)
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
        )
    )
