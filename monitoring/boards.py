"""The dashboards: the edge, the tiers behind it, what they keep, and what comes later."""

from __future__ import annotations

from collections.abc import Sequence

from monitoring.panels import Dashboard, Panel, Query, Unit, quantile, rate, share

_MANY = 'code=~"INTERNAL|UNKNOWN|UNAVAILABLE|DEADLINE_EXCEEDED|RESOURCE_EXHAUSTED"'
_SERVER, _CLIENT = "arcana_rpc_server_handled_total", "arcana_rpc_client_handled_total"
_HTTP = "arcana_http_requests_total"


def _panel(title: str, unit: Unit, description: str, *queries: tuple[str, str]) -> Panel:
    return Panel(title, description, unit, [Query(*query) for query in queries])


def _ratio(part: str, whole: str) -> str:
    return f"{part} / {whole}"


def _quantiles(histogram: str, by: str = "", matching: str = "") -> Sequence[tuple[str, str]]:
    return [
        (quantile(q, histogram, by, matching), f"p{q * 100:g}" + (f" {{{{{by}}}}}" if by else ""))
        for q in (0.5, 0.95, 0.99)
    ]


OVERVIEW = Dashboard(
    "overview",
    "Arcana: the edge",
    (
        _panel(
            "Requests by status",
            "reqps",
            "What clients get. A rise of 5xx is ours to mend, one of 4xx most likely theirs.",
            (rate(_HTTP, "status"), "{{status}}"),
        ),
        _panel(
            "Share of 5xx",
            "percentunit",
            "Above 1 % for five minutes it wakes somebody.",
            (share(_HTTP, 'status=~"5.."') + " or vector(0)", "5xx"),
        ),
        _panel(
            "Time to the answer",
            "s",
            "Of all routes together. REQUEST_TIMEOUT_SECONDS, 5 s, is the end of it.",
            *_quantiles("arcana_http_request_duration_seconds"),
        ),
        _panel(
            "Slowest routes, p95",
            "s",
            "Where the time goes, by the pattern of the route.",
            (
                f"topk(5, {quantile(0.95, 'arcana_http_request_duration_seconds', 'route')})",
                "{{route}}",
            ),
        ),
        _panel(
            "In flight and refused",
            "short",
            "As many in flight as WEB_WORKERS times WEB_THREADS is a full house.",
            ("sum(arcana_http_requests_in_flight)", "in flight"),
            (rate("arcana_http_refused_total", "reason"), "refused a second: {{reason}}"),
        ),
        _panel(
            "Access tokens",
            "ops",
            "Unknown: nobody could tell for the moment, and the client got a 503.",
            (rate("arcana_token_verifications_total", "outcome"), "{{outcome}}"),
        ),
        _panel(
            "Sign-ins",
            "ops",
            "Many wrong passwords and unknown accounts are somebody who tries.",
            (rate("arcana_logins_total", "outcome"), "{{outcome}}"),
        ),
        _panel(
            "Rate limits",
            "ops",
            "Refused by bucket; counted alone: the shared counters are away.",
            (rate("arcana_rate_limited_total", "bucket"), "{{bucket}}"),
            (rate("arcana_rate_limits_local_total"), "counted alone"),
        ),
    ),
)

TIERS = Dashboard(
    "tiers",
    "Arcana: the tiers",
    (
        _panel(
            "RPCs by service",
            "reqps",
            "As their servers count them.",
            (rate(_SERVER, "rpc_service"), "{{rpc_service}}"),
        ),
        _panel(
            "Failed RPCs",
            "reqps",
            "Those that are no fault of the request, as their callers see them.",
            (rate(_CLIENT, "rpc_service, code", _MANY), "{{rpc_service}} {{code}}"),
            (rate(_CLIENT, "", _MANY) + " or vector(0)", "all"),
        ),
        _panel(
            "Time in the server, p95",
            "s",
            "From the turn of an RPC to its end. Streams last for as long as they are open.",
            (
                quantile(0.95, "arcana_rpc_server_handling_seconds", "rpc_service"),
                "{{rpc_service}}",
            ),
        ),
        _panel(
            "Time for the caller, p95",
            "s",
            "What lies above the time in the server is the wire, and the wait for a thread.",
            (
                quantile(0.95, "arcana_rpc_client_handling_seconds", "rpc_service"),
                "{{rpc_service}}",
            ),
        ),
        _panel(
            "Deadline left on arrival, p5",
            "s",
            "Falls towards zero where requests have waited before. Jobs and events have minutes.",
            (
                quantile(
                    0.05,
                    "arcana_rpc_server_deadline_left_seconds",
                    "rpc_service",
                    'rpc_service!~".*(Event|Job).*"',
                ),
                "{{rpc_service}}",
            ),
        ),
        _panel(
            "In flight and refused",
            "short",
            "Refused: no time left, no turn, too many streams, no such method.",
            ("sum by (instance) (arcana_rpc_server_in_flight)", "in flight {{instance}}"),
            (rate("arcana_rpc_server_refused_total", "reason"), "refused a second: {{reason}}"),
        ),
        _panel(
            "Reads that share RPCs",
            "percentunit",
            "RPCs sent for each read asked for: the lower, the more callers share them.",
            (
                _ratio(
                    rate("arcana_coalescing_sent_total", "kind, instance"),
                    rate("arcana_coalescing_asked_total", "kind, instance"),
                ),
                "{{kind}} {{instance}}",
            ),
        ),
        _panel(
            "Breakers open, peers refused",
            "short",
            "In how many processes a neighbour is left alone, and who was not let in.",
            ("sum by (breaker) (arcana_breaker_open)", "{{breaker}}"),
            (rate("arcana_peers_refused_total", "reason"), "refused a second: {{reason}}"),
        ),
        _panel(
            "Processor time",
            "short",
            "Processors in use, by program.",
            (rate("arcana_process_cpu_seconds_total", "instance"), "{{instance}}"),
        ),
        _panel(
            "Memory",
            "bytes",
            "By program, all of its processes.",
            ("sum by (instance) (arcana_process_resident_memory_bytes)", "{{instance}}"),
        ),
    ),
)

STORES = Dashboard(
    "stores",
    "Arcana: stores and caches",
    (
        _panel(
            "Connections in use",
            "percentunit",
            "Of what the pool may have. At 100 % calls wait, and fail after a second.",
            (
                _ratio(
                    "sum by (pool) (arcana_database_pool_in_use)",
                    "sum by (pool) (arcana_database_pool_size)",
                ),
                "{{pool}}",
            ),
        ),
        _panel(
            "Wait for a connection, p99",
            "s",
            "DATABASE_POOL_TIMEOUT_SECONDS, 1 s, is the end of it.",
            (quantile(0.99, "arcana_database_pool_wait_seconds", "pool"), "{{pool}}"),
        ),
        _panel(
            "Units of work",
            "ops",
            "How often a connection was asked for.",
            (rate("arcana_database_pool_wait_seconds_count", "pool"), "{{pool}}"),
        ),
        _panel(
            "Repeated and failed units of work",
            "ops",
            "Repeated after deadlocks and lost connections; failed for good, by code.",
            (rate("arcana_database_repeats_total"), "repeated"),
            (rate("arcana_database_failures_total", "code"), "failed: {{code}}"),
        ),
        _panel(
            "Cache hits",
            "percentunit",
            "Share of the keys that were asked for. Lists of users and products ask too.",
            (share("arcana_cache_requests_total", 'outcome="hit"', "kind"), "{{kind}}"),
        ),
        _panel(
            "Cache requests",
            "ops",
            "Errors: Redis does not answer, or is left alone.",
            (rate("arcana_cache_requests_total", "outcome"), "{{outcome}}"),
        ),
    ),
)

BACKGROUND = Dashboard(
    "background",
    "Arcana: events and jobs",
    (
        _panel(
            "Events on their way",
            "short",
            "Unpublished in the outbox; unsettled, refused and dead of each group.",
            ("max(arcana_outbox_events_unpublished)", "unpublished"),
            ("max by (group) (arcana_event_group_unsettled)", "unsettled {{group}}"),
            ("max by (group) (arcana_event_group_refused)", "tried again {{group}}"),
            ("max by (group) (arcana_event_group_dead)", "dead {{group}}"),
        ),
        _panel(
            "Age of the oldest event",
            "s",
            "Above a minute in the outbox the relay is in trouble.",
            ("max(arcana_outbox_oldest_age_seconds)", "unpublished"),
            ("max by (group) (arcana_event_group_oldest_age_seconds)", "unsettled {{group}}"),
        ),
        _panel(
            "Reactions to events",
            "ops",
            "Returned: what the reaction needs is away.",
            (rate("arcana_event_reactions_total", "outcome"), "{{outcome}}"),
        ),
        _panel(
            "Attempts at jobs",
            "ops",
            "Postponed is tried again, failed is given up.",
            (rate("arcana_job_attempts_total", "name, outcome"), "{{name}} {{outcome}}"),
        ),
        _panel(
            "Time of a job, p95",
            "s",
            "One attempt may take WORKER_TIME_LIMIT_SECONDS, 300 s.",
            (quantile(0.95, "arcana_job_duration_seconds", "name"), "{{name}}"),
        ),
        _panel(
            "Jobs that wait, run and failed",
            "short",
            "As the database has them; those in progress as their service has them.",
            ("max by (status) (arcana_jobs)", "{{status}}"),
            ("sum(arcana_jobs_in_progress)", "in progress"),
        ),
        _panel(
            "How late the latest job is",
            "s",
            "Grows where there is no worker, or too few.",
            ("max(arcana_jobs_overdue_seconds)", "overdue"),
        ),
        _panel(
            "Jobs handed over by workers",
            "ops",
            "By what came of them.",
            (rate("arcana_worker_jobs_total", "outcome"), "{{outcome}}"),
        ),
    ),
)

DASHBOARDS = (OVERVIEW, TIERS, STORES, BACKGROUND)
