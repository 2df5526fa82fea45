"""Showing how everything is: on one screen for people, or as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from arcana.common.v1.tier_status_pb2 import EventsStatus, JobsStatus
from launcher.console import Console
from launcher.health import Condition, Report, Status, report_on
from launcher.hops import Hop, hops_of
from launcher.settings import LauncherSettings

_UNKNOWN = "-"
_GAP = "  "
_TRANSPORTS = {"grpc": "gRPC", "http": "HTTP"}
# In seconds, from the largest; each is shown with the one that follows it.
_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def show_health(settings: LauncherSettings, console: Console, *, as_json: bool) -> int:
    """Ask everything how it is, and show it.

    Returns:
        0 when requests are served, if only without a cache; else 1.
    """
    report = report_on(settings)
    if as_json:
        console.plain(json.dumps(document_of(settings, report), indent=2))
    else:
        for line in screen_of(settings, report):
            console.plain(line)
    return 0 if report.ill in ([], ["cache"]) else 1


def screen_of(settings: LauncherSettings, report: Report) -> list[str]:
    """Return the lines of the screen; the last one says it in a sentence."""
    processes = [("process", "state", "version", "up for", "called over", "address")]
    processes += [
        (
            *(each.name, _state(each), each.version or _UNKNOWN, _uptime(each)),
            *(_called_over(each.hop), each.where),
        )
        for each in report.processes
    ]
    stores = [("store", "state", "what it is", "as seen from")]
    stores += [(each.name, _state(each), _store(each), each.where) for each in report.stores]
    return [
        f"Arcana, {_layout(settings)}.",
        "",
        *_table(processes),
        "",
        *_table(stores),
        "",
        f"{'events':<{len('database')}}{_GAP}{_events(report)}",
        f"{'jobs':<{len('database')}}{_GAP}{_jobs(report)}",
        "",
        _sentence(report),
    ]


def document_of(settings: LauncherSettings, report: Report) -> dict[str, Any]:
    """Return the report as plain values. What is not known is null."""
    status = "ok" if not report.ill else "degraded" if report.ill == ["cache"] else "down"
    return {
        "status": status,
        "mode": settings.deployment_mode,
        "protocol": settings.communication_protocol,
        "processes": [
            {
                **_known(each),
                "version": each.version or None,
                "uptime_seconds": each.status.uptime.seconds if each.status else None,
                "services": list(each.status.services) if each.status else None,
                **_hop_facts(each.hop),
            }
            for each in report.processes
        ],
        "stores": [{**_known(each), **_store_facts(each)} for each in report.stores],
        "events": _plain(_events_of(report)),
        "jobs": _plain(_jobs_of(report)),
    }


def _layout(settings: LauncherSettings) -> str:
    if settings.deployment_mode == "monolithic":
        return "monolithic: one process with all tiers, asked where its service tier listens"
    return f"{settings.deployment_mode}, with {hops_of(settings)} between the tiers"


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        _GAP.join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _state(condition: Condition) -> str:
    return condition.detail or "ok"


def _uptime(condition: Condition) -> str:
    return _span(condition.status.uptime.seconds) if condition.status else _UNKNOWN


def _called_over(hop: Hop | None) -> str:
    """Say how a process is called: over what, and whether by TLS."""
    if hop is None:
        return _UNKNOWN
    if hop.transport == "inproc":
        return "in place"
    transport = _TRANSPORTS[hop.transport]
    if not hop.is_tls:
        return f"{transport}, plaintext"
    until = f" until {hop.certificate_ends:%Y-%m-%d}" if hop.certificate_ends else ""
    return f"{transport}, mutual TLS{until}"


def _store(store: Condition) -> str:
    status = store.status
    if store.name == "database" and status is not None and status.HasField("database"):
        database = status.database
        return (
            f"{database.kind}, revision {database.revision or 'not known'} "
            f"(needed: {database.needed_revision})"
        )
    if store.name == "cache" and status is not None and status.HasField("cache"):
        return f"{status.cache.kind}, breaker {'open' if status.cache.breaker_open else 'closed'}"
    return _UNKNOWN


def _events(report: Report) -> str:
    events = _events_of(report)
    if events is None:
        return "not known"
    unpublished = _late(events.unpublished_count, events, "oldest_unpublished_age")
    if not events.HasField("unsettled_count"):
        return f"{unpublished} unpublished; what consumers are behind is not known"
    unsettled = _late(events.unsettled_count, events, "oldest_unsettled_age")
    return f"{unpublished} unpublished, {unsettled} unsettled, {events.dead_count} dead"


def _jobs(report: Report) -> str:
    jobs = _jobs_of(report)
    if jobs is None:
        return "not known"
    waiting = _late(jobs.waiting_count, jobs, "oldest_due_age")
    return f"{waiting} waiting, {jobs.running_count} running, {jobs.failed_count} given up"


def _late(count: int, told: EventsStatus | JobsStatus, age: str) -> str:
    """Say how many wait, and since when the oldest does."""
    message: Any = told
    if not message.HasField(age):
        return str(count)
    return f"{count} (the oldest for {_span(getattr(message, age).seconds)})"


def _span(seconds: int) -> str:
    """Say a span of time in its two largest units, such as `3 h 12 min`."""
    parts: list[str] = []
    for name, length in _UNITS:
        amount, seconds = divmod(seconds, length)
        if amount or parts:
            parts.append(f"{amount} {name}")
        if len(parts) == 2:
            break
    return " ".join(parts) or "0 s"


def _sentence(report: Report) -> str:
    if not report.ill:
        return "All is well."
    if report.ill == ["cache"]:
        return "Degraded: reads go to the database."
    return f"Not well: {', '.join(report.ill)}."


def _events_of(report: Report) -> EventsStatus | None:
    # Every process of the repository tier sees the same ones.
    return next((each.events for each in _told(report) if each.HasField("events")), None)


def _jobs_of(report: Report) -> JobsStatus | None:
    return next((each.jobs for each in _told(report) if each.HasField("jobs")), None)


def _told(report: Report) -> list[Status]:
    return [each.status for each in report.stores if each.status is not None]


def _known(condition: Condition) -> dict[str, Any]:
    return {
        "name": condition.name,
        "url": condition.where,
        "ok": condition.is_well,
        "detail": condition.detail,
    }


def _hop_facts(hop: Hop | None) -> dict[str, Any]:
    if hop is None or hop.transport == "inproc":
        # Where nothing is sent, nothing is protected.
        transport = None if hop is None else hop.transport
        return {"transport": transport, "mutual_tls": None, "certificate_end_time": None}
    ends = hop.certificate_ends
    return {
        "transport": hop.transport,
        "mutual_tls": hop.is_tls,
        "certificate_end_time": ends and ends.isoformat().replace("+00:00", "Z"),
    }


def _store_facts(store: Condition) -> dict[str, Any]:
    names = {
        "database": ("kind", "revision", "needed_revision"),
        "cache": ("kind", "breaker_open"),
    }[store.name]
    told = getattr(store.status, store.name) if store.status else None
    return {name: None if told is None else getattr(told, name) for name in names}


def _plain(told: EventsStatus | JobsStatus | None) -> dict[str, int | None] | None:
    """Return counts as they are, and ages in seconds."""
    if told is None:
        return None
    message: Any = told
    plain: dict[str, int | None] = {}
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        is_told = not field.has_presence or message.HasField(field.name)
        if field.message_type is None:
            plain[field.name] = value if is_told else None
        else:
            plain[f"{field.name}_seconds"] = value.seconds if is_told else None
    return plain
