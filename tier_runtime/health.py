"""Who is well: the board behind grpc.health.v1.

Names: "" is this tier; "tier.repository", "store.database" and "store.cache" are its neighbours;
a service's full name is that service.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import grpc
from grpc_health.v1 import health_pb2_grpc  # type: ignore[import-untyped]  # ships no types

from tier_runtime.health_servicer import BoardServicer
from tier_runtime.logs import get_logger

THIS_TIER = ""
HEALTH_SERVICE = "grpc.health.v1.Health"
# Each of our channels that balances watches; strangers have a bound of their own.
MAX_WATCHES = 1024


@dataclass(frozen=True, slots=True)
class _Probe:
    name: str
    check: Callable[[], bool]
    interval_seconds: float


class HealthBoard:
    """Holds what serves and what does not, and answers Check and Watch about it.

    This tier does not serve until its server has started. A name with a probe does not serve
    until its probe has said so. Safe to use from several threads. Of watchers at most
    `max_watches` are told; who comes after those gets RESOURCE_EXHAUSTED.
    """

    def __init__(self, max_watches: int = MAX_WATCHES) -> None:
        self._lock = threading.Lock()
        self._serving: dict[str, bool] = {}
        # What the log was last told of each probe.
        self._told: dict[str, bool] = {}
        self._draining = False
        self._is_started = False
        self._probes: list[_Probe] = []
        self._stopped = threading.Event()
        self._servicer = BoardServicer(self._known, max_watches)
        self.set(THIS_TIER, serving=False)

    def set(self, name: str, serving: bool) -> None:
        """Say whether `name` serves. While the tier drains nothing does, whatever is said."""
        with self._lock:
            self._serving[name] = serving and not self._draining
        self._servicer.notify()

    def is_serving(self, name: str = THIS_TIER) -> bool:
        """True when `name` is known and serves."""
        with self._lock:
            return self._serving.get(name, False)

    @property
    def is_draining(self) -> bool:
        """True from `drain` on; what would go on for long ends then."""
        with self._lock:
            return self._draining

    def snapshot(self) -> dict[str, bool]:
        """Return every known name and whether it serves."""
        with self._lock:
            return dict(self._serving)

    def add_probe(self, name: str, check: Callable[[], bool], interval: float) -> None:
        """Have `check` decide about `name` every `interval` seconds, once the server runs.

        Each probe has a thread of its own, so a slow one delays no other. One that raises means
        that `name` does not serve.
        """
        self._probes.append(_Probe(name, check, interval))
        self.set(name, serving=False)

    def poll(self) -> None:
        """Run every probe once, now."""
        for probe in self._probes:
            self._run(probe)

    def start(self) -> None:
        """Begin to poll the probes and to tell watchers, in daemon threads; once is enough."""
        with self._lock:
            # A tier may be served here and over the wire at the same time, from one board.
            if self._is_started:
                return
            self._is_started = True
        self._servicer.start()
        for probe in self._probes:
            threading.Thread(
                target=self._keep_running, args=(probe,), name=f"probe {probe.name}", daemon=True
            ).start()

    def drain(self) -> None:
        """Say of everything that it does not serve, for good."""
        with self._lock:
            self._draining = True
            self._serving = dict.fromkeys(self._serving, False)
        self._servicer.notify()

    def stop(self) -> None:
        """Stop polling, and end every Watch after telling what is new."""
        self._stopped.set()
        self._servicer.close()

    def add_to(self, server: grpc.Server) -> None:
        """Register grpc.health.v1.Health with the server."""
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)

    def _known(self, name: str) -> bool | None:
        with self._lock:
            return self._serving.get(name)

    def _keep_running(self, probe: _Probe) -> None:
        while not self._stopped.is_set():
            self._run(probe)
            self._stopped.wait(probe.interval_seconds)

    def _run(self, probe: _Probe) -> None:
        try:
            serving = probe.check()
        # The outermost frame of the probe's thread: whatever a neighbour's client raises, the
        # neighbour is not well, and the polling must go on to see it recover.
        except Exception as error:  # noqa: BLE001 - see above.
            serving = False
            get_logger(__name__).debug("probe_raised", name=probe.name, error=type(error).__name__)
        self._tell_change(probe.name, serving=serving)
        self.set(probe.name, serving)

    def _tell_change(self, name: str, *, serving: bool) -> None:
        """Write a line when a neighbour goes or comes, the first time included."""
        with self._lock:
            if self._told.get(name) is serving or self._draining:
                return
            self._told[name] = serving
        log = get_logger(__name__)
        if serving:
            log.info("neighbour_up", name=name)
        else:
            log.warning("neighbour_down", name=name)
