"""The series that every tier may have. Those of a single tier are declared in its own package."""

from __future__ import annotations

from tier_runtime.metrics.families import counter, gauge, histogram

BUILD = gauge(
    "arcana_build_info",
    "1, for the program and the version that the process runs.",
    ("tier", "version"),
    across="livemax",
)

# Which process of a program, by the operating system's number.
_PROCESS = ("pid",)
PROCESS_CPU = counter(
    "arcana_process_cpu_seconds_total", "Processor time that the process has used.", _PROCESS
)
PROCESS_MEMORY = gauge(
    "arcana_process_resident_memory_bytes", "Memory that the process occupies.", _PROCESS
)
PROCESS_FILES = gauge(
    "arcana_process_open_fds", "Files and sockets that the process has open.", _PROCESS
)
PROCESS_MOST_FILES = gauge(
    "arcana_process_max_fds", "Files and sockets that the process may have open.", _PROCESS
)
PROCESS_START = gauge(
    "arcana_process_start_time_seconds", "When the process began, since 1970.", _PROCESS
)

# Not `service`: by that name Kubernetes knows something else.
_METHOD = ("rpc_service", "rpc_method")
SERVED = counter(
    "arcana_rpc_server_handled_total",
    "RPCs that this process has answered, by how they ended.",
    (*_METHOD, "code"),
)
SERVED_SECONDS = histogram(
    "arcana_rpc_server_handling_seconds",
    "How long RPCs took here, from their turn to their end; streams for as long as they are open.",
    _METHOD,
)
SERVED_IN_FLIGHT = gauge("arcana_rpc_server_in_flight", "RPCs that are being handled.")
SERVED_DEADLINE_LEFT = histogram(
    "arcana_rpc_server_deadline_left_seconds",
    "What an RPC that came with a deadline had left of it when its turn came.",
    ("rpc_service",),
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 4.0, 4.9, 5.0, 10.0, 30.0, 300.0),
)
SERVED_ARRIVED = counter(
    "arcana_rpc_server_arrived_total",
    "RPCs of known methods that came in over gRPC. What has neither ended nor is in flight waits "
    "for a thread, or was refused by the transport because too many were there already.",
)
SERVED_REFUSED = counter(
    "arcana_rpc_server_refused_total",
    "RPCs that never reached their servicer, by the reason.",
    ("reason",),
)

CALLED = counter(
    "arcana_rpc_client_handled_total",
    "RPCs that this process has made, by how they ended for it.",
    (*_METHOD, "code"),
)
CALLED_SECONDS = histogram(
    "arcana_rpc_client_handling_seconds",
    "How long RPCs took for their caller, with all attempts; streams for as long as they are open.",
    _METHOD,
)

BREAKER_OPEN = gauge(
    "arcana_breaker_open", "In how many processes the breaker is open.", ("breaker",)
)
BREAKER_OPENED = counter(
    "arcana_breaker_opened_total", "How often the breaker has opened.", ("breaker",)
)

_READS = ("kind",)
READS_ASKED = counter(
    "arcana_coalescing_asked_total", "Reads by id that were asked for, by kind of thing.", _READS
)
READS_SENT = counter("arcana_coalescing_sent_total", "RPCs that were sent for those reads.", _READS)

PEERS_REFUSED = counter(
    "arcana_peers_refused_total",
    "Calls and connections refused because of who their peer is, or is not, by the reason.",
    ("reason",),
)

SERIES = (
    *(BUILD, PROCESS_CPU, PROCESS_MEMORY, PROCESS_FILES, PROCESS_MOST_FILES, PROCESS_START),
    *(SERVED, SERVED_SECONDS, SERVED_IN_FLIGHT, SERVED_DEADLINE_LEFT, SERVED_ARRIVED),
    *(SERVED_REFUSED, CALLED, CALLED_SECONDS, BREAKER_OPEN, BREAKER_OPENED),
    *(READS_ASKED, READS_SENT, PEERS_REFUSED),
)
