"""What wakes somebody, or is looked at in the morning: each alert with why it stands there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# Somebody is to look at once, or within the day.
Severity = Literal["critical", "warning"]


@dataclass(frozen=True, slots=True)
class Alert:
    """A rule of Prometheus.

    Attributes:
        wait: for how long it must be true.
        summary: one line, in which Prometheus puts labels and the value.
        why: what the threshold is made of.
        runbook: what to do.
    """

    name: str
    severity: Severity
    expression: str
    wait: str
    summary: str
    why: str
    runbook: str


def _rate(series: str, by: str = "", matching: str = "") -> str:
    sums = f"sum by ({by}) " if by else "sum"
    braces = f"{{{matching}}}" if matching else ""
    return f"{sums}(rate({series}{braces}[5m]))"


_HTTP = "arcana_http_requests_total"
_SERVED = "arcana_rpc_server_handled_total"
_CALLED = "arcana_rpc_client_handled_total"
_CACHE = "arcana_cache_requests_total"
_TOKENS = "arcana_token_verifications_total"
_LOGINS = "arcana_logins_total"
_FAILED = 'status=~"5.."'
_REFUSED = 'code="RESOURCE_EXHAUSTED"'
_ERROR = 'outcome="error"'
_UNKNOWN = 'outcome="unknown"'
_WRONG = 'outcome=~"wrong_password|unknown_account"'
_AT_FAULT = 'code=~"INTERNAL|UNKNOWN|DATA_LOSS|UNAVAILABLE|DEADLINE_EXCEEDED"'

ALERTS = (
    Alert(
        "ArcanaTargetDown",
        "critical",
        'up{job=~"arcana.*"} == 0',
        "2m",
        "{{ $labels.instance }} tells no metrics.",
        "Four scrapes of 30 s: longer than a process takes to be replaced.",
        "See whether the process runs (`arcana health`, the log's last lines) and whether "
        "METRICS_BIND is what Prometheus asks. A program whose processes all die answers nothing.",
    ),
    Alert(
        "ArcanaRequestsFail",
        "critical",
        f"{_rate(_HTTP, matching=_FAILED)} / {_rate(_HTTP)} > 0.01",
        "5m",
        "{{ $value | humanizePercentage }} of the requests are answered with 5xx.",
        "One request in a hundred is more than a restart of a tier with two replicas costs, which "
        "is none.",
        "503 is a tier or store that is away or too busy, 504 one that is slow, 500 a mistake of "
        "ours with a traceback in a log. Look at the routes of `Arcana: the edge`, then at the "
        "failed RPCs of `Arcana: the tiers`, from the edge inwards, and search the logs for the "
        "`request_id` of one of them.",
    ),
    Alert(
        "ArcanaRequestsSlow",
        "warning",
        "histogram_quantile(0.99, "
        f"{_rate('arcana_http_request_duration_seconds_bucket', 'le')}) > 1",
        "10m",
        "One request in a hundred takes {{ $value | humanizeDuration }} or longer.",
        "A fifth of REQUEST_TIMEOUT_SECONDS; ten minutes let a burst of uploads or reports pass.",
        "The panel of the slowest routes says what; time for the caller over time in the server "
        "says on which hop. Waits for connections point to the database, processor time at its "
        "limit to replicas: see `docs/scaling.md`.",
    ),
    Alert(
        "ArcanaRpcsFail",
        "warning",
        f"{_rate(_SERVED, 'rpc_service', _AT_FAULT)} / {_rate(_SERVED, 'rpc_service')} > 0.05",
        "5m",
        "{{ $labels.rpc_service }} fails {{ $value | humanizePercentage }} of its RPCs.",
        "One in twenty, of what is no fault of the request; breakers open somewhat later.",
        "The tier's log has a line for each, with its code; INTERNAL has a traceback. UNAVAILABLE "
        "and DEADLINE_EXCEEDED usually come from the tier behind it: look there first.",
    ),
    Alert(
        "ArcanaOverload",
        "warning",
        f"{_rate(_CALLED, 'rpc_service', _REFUSED)} > 0.1",
        "5m",
        "{{ $labels.rpc_service }} refuses {{ $value | humanize }} RPCs a second as too many.",
        "Refusing is right in a burst; for five minutes it is a tier that is too small.",
        "Add replicas of the tier, or find who sends so much. Threads help only while there is "
        "processor time left. The limits are `…_MAX_CONCURRENT_RPCS` and `HASH_CONCURRENCY`.",
    ),
    Alert(
        "ArcanaDeadlinesSpent",
        "warning",
        'sum(rate(arcana_rpc_server_refused_total{reason=~"late|no_turn"}[5m])) > 0.1',
        "5m",
        "{{ $value | humanize }} RPCs a second come with no time left.",
        "Their callers have given up: work is queued for longer than anybody waits.",
        "As with overload. The deadlines left on arrival tell on which hop the time is spent.",
    ),
    Alert(
        "ArcanaPoolExhausted",
        "warning",
        "histogram_quantile(0.95, "
        f"{_rate('arcana_database_pool_wait_seconds_bucket', 'le, pool')}) > 0.25",
        "5m",
        "One {{ $labels.pool }} in twenty waits {{ $value | humanizeDuration }} for a connection.",
        "A quarter of DATABASE_POOL_TIMEOUT_SECONDS, at which calls fail.",
        "Slow statements hold connections: look at the database first. Then raise "
        "DATABASE_POOL_SIZE, within the connections that the database allows to all replicas.",
    ),
    Alert(
        "ArcanaDatabaseFails",
        "critical",
        f"{_rate('arcana_database_failures_total', 'code')} > 0.1",
        "2m",
        "{{ $value | humanize }} units of work a second fail with {{ $labels.code }}.",
        "One in ten seconds is no accident any more; deadlocks that were repeated do not count.",
        "Is the database there, and does it take connections? `database_failed` in the log of the "
        "repository tier names the driver's error. After OUTCOME_UNKNOWN a write may have been "
        "done.",
    ),
    Alert(
        "ArcanaCacheAway",
        "warning",
        f"{_rate(_CACHE, matching=_ERROR)} / {_rate(_CACHE)} > 0.05",
        "5m",
        "{{ $value | humanizePercentage }} of the keys get no answer from the cache.",
        "Reads go on from the database, so it wakes nobody; a lost connection or two is less.",
        "See whether Redis is there and answers within CACHE_TIMEOUT_SECONDS. Watch the "
        "database's load meanwhile: all reads go there, and rate limits are stricter.",
    ),
    Alert(
        "ArcanaBreakerOpen",
        "warning",
        "max by (breaker) (arcana_breaker_open) > 0",
        "1m",
        "The breaker of {{ $labels.breaker }} has been open for a minute.",
        "It tries again after half a second or a second: a minute is a neighbour that is away.",
        "The neighbour of that name is away or too slow: see its own metrics and its log.",
    ),
    Alert(
        "ArcanaOutboxLate",
        "critical",
        "max(arcana_outbox_oldest_age_seconds) > 60",
        "2m",
        "The oldest unpublished event has waited for {{ $value | humanizeDuration }}.",
        "The relay publishes within a second; the log says `events_late` after ten.",
        "`relay_failing` says why. Redis away, or a stream that is half full because a consumer "
        "group is far behind: see Events in `docs/operations.md`. Nothing is lost meanwhile.",
    ),
    Alert(
        "ArcanaEventsUnsettled",
        "warning",
        "max by (group) (arcana_event_group_oldest_age_seconds) > 300",
        "5m",
        "{{ $labels.group }} has not settled an event for {{ $value | humanizeDuration }}.",
        "More than all pauses between five attempts together.",
        "Is a service tier with `events` among its SERVICES running? `event_failed` and "
        "`event_consumer_failing` in its log say what fails.",
    ),
    Alert(
        "ArcanaEventsDead",
        "warning",
        "max by (group) (arcana_event_group_dead) > 0",
        "1m",
        "{{ $labels.group }} has given up {{ $value }} events.",
        "Each is something that should have happened and did not.",
        "`ListDeadEvents` shows them with their errors (see Events in `docs/operations.md`). They "
        "go by themselves after EVENT_KEPT_SECONDS.",
    ),
    Alert(
        "ArcanaJobsOverdue",
        "warning",
        "max(arcana_jobs_overdue_seconds) > 300",
        "5m",
        "A job has been due for {{ $value | humanizeDuration }}.",
        "A lost message is published again within ten minutes at most; usually it takes seconds.",
        "Does a worker run, and does it reach the broker and SERVICE_URL? If jobs only are too "
        "many, start more workers or raise WORKER_CONCURRENCY.",
    ),
    Alert(
        "ArcanaJobsFail",
        "warning",
        'sum by (name) (increase(arcana_job_attempts_total{outcome="failed"}[1h])) > 0',
        "0m",
        "A job {{ $labels.name }} was given up.",
        "Eight attempts have failed, or one for good: nobody tries again by himself.",
        "`GET /api/v1/jobs?status=failed` has the errors; `POST /api/v1/jobs/{id}/retry` begins "
        "one anew once the reason is gone.",
    ),
    Alert(
        "ArcanaTokensUnknown",
        "critical",
        f"{_rate(_TOKENS, matching=_UNKNOWN)} > 0.1",
        "2m",
        "{{ $value | humanize }} tokens a second cannot be verified.",
        "Who is signed in gets 503: ACCESS_FEED_MAX_AGE, 1 s, has passed without word of what "
        "sessions have ended.",
        "The edge does not reach the service tier's `auth`, or that does not reach the database.",
    ),
    Alert(
        "ArcanaSignInsFail",
        "warning",
        f"{_rate(_LOGINS, matching=_WRONG)} > 5",
        "10m",
        "{{ $value | humanize }} sign-ins a second fail.",
        "Set it above what your people do on a Monday morning; each address may do so "
        "RATE_LIMIT_LOGIN_IP times only, so that many are many addresses.",
        "Somebody tries passwords. The audit log has the addresses (`client_address` of failed "
        "sign-ins); block them in front of the edge. "
        "The rate limits hold meanwhile.",
    ),
    Alert(
        "ArcanaRateLimitsAlone",
        "warning",
        f"{_rate('arcana_rate_limits_local_total')} > 0",
        "5m",
        "Workers of the edge count rate limits by themselves.",
        "For a moment it is nothing; limits are stricter by RATE_LIMIT_FALLBACK_DIVISOR meanwhile.",
        "The shared counters are behind the service tier's `rate_limits`, in Redis.",
    ),
    Alert(
        "ArcanaPeersRefused",
        "warning",
        "sum by (reason) (increase(arcana_peers_refused_total[5m])) > 0",
        "0m",
        "{{ $value | humanize }} calls or connections were refused: {{ $labels.reason }}.",
        "In a network where only the tiers are, none is refused.",
        "A certificate that has run out, a name that the tier does not allow, or a stranger. "
        "The log of the tier that refused (`peer_refused`) has the peer's names, if it gave any.",
    ),
    Alert(
        "ArcanaFilesRunOut",
        "warning",
        "max by (instance, pid) (arcana_process_open_fds / arcana_process_max_fds) > 0.8",
        "5m",
        "{{ $labels.instance }} has {{ $value | humanizePercentage }} of its files open.",
        "The edge stops accepting at three quarters of them by itself.",
        "More connections than usual, or a leak: compare with those of the other replicas. "
        "`ulimit -n` raises it.",
    ),
)
