"""The worker as a process: settings in, exit code out."""

from __future__ import annotations

import logging
import threading
from random import SystemRandom
from typing import Any

from celery.exceptions import Reject
from celery.signals import worker_ready, worker_shutting_down

from arcana.service.v1 import job_service_pb2_grpc
from repository_tier.jobs.broker import RUN_JOB, celery_app
from repository_tier.metrics import hand_over_meter
from repository_tier.worker.hand_over import HandOver
from repository_tier.worker.schedule import start_beat
from repository_tier.worker.settings import WorkerSettings
from tier_runtime.channel import ChannelSettings, open_channel
from tier_runtime.clock import SystemClock
from tier_runtime.health import THIS_TIER, HealthBoard
from tier_runtime.health_listener import HealthListener
from tier_runtime.logs import configure_logging, get_logger
from tier_runtime.metrics.port import MetricsPort, metrics_port
from tier_runtime.metrics.rpcs import CalledMeter
from tier_runtime.settings import load
from tier_runtime.startup import run_main
from tier_runtime.telemetry import open_telemetry

_SCHEDULE = "arcana.service.v1.JobService/ScheduleJob"


def main() -> int:
    """Take and hand over jobs until a signal, and return the exit code.

    Raises:
        StartupError: the settings cannot be used.
    """
    settings = load(WorkerSettings)
    configure_logging("worker", settings.log_level, json=settings.log_json)
    with metrics_port(settings.metrics_bind, "worker", forks=False) as metrics:
        return work(settings, metrics)


def work(settings: WorkerSettings, metrics: MetricsPort) -> int:
    """Take and hand over jobs until a signal, and return the exit code."""
    telemetry = open_telemetry(metrics, settings.tracing("worker"))
    meters = telemetry.meters
    # A line for each job is ours to write.
    logging.getLogger("celery").setLevel(logging.WARNING)
    log = get_logger("worker")
    is_stopping = threading.Event()
    app = celery_app(settings.broker())
    # A job that is handed over is handed over again by us, who know when to stop.
    channel = open_channel(
        settings.service_url,
        ChannelSettings(
            retried_methods=(_SCHEDULE,),
            meter=None if meters is None else CalledMeter(meters),
            tls=settings.tls_files(),
        ),
        tracing=telemetry.tracing,
    )
    jobs = job_service_pb2_grpc.JobServiceStub(channel)
    hand_over = HandOver(
        jobs,
        limit_seconds=settings.worker_time_limit_seconds,
        is_stopping=is_stopping,
        random=SystemRandom(),
        count=hand_over_meter(meters),
        tracing=telemetry.tracing,
    )

    @app.task(name=RUN_JOB)
    def run_job(job_id: str) -> None:
        if not hand_over.run(job_id):
            # The message goes back, to the next worker.
            raise Reject(reason="The worker ends.", requeue=True)

    health = HealthBoard()
    listener = HealthListener(settings.health_bind, health)

    def on_ready(**_told: Any) -> None:
        health.set(THIS_TIER, serving=True)
        log.info("working", concurrency=settings.worker_concurrency)

    def on_stop(**_told: Any) -> None:
        health.drain()
        is_stopping.set()

    worker_ready.connect(on_ready)
    worker_shutting_down.connect(on_stop)
    health.start()
    listener.start()
    beat = start_beat(app, jobs, SystemClock(), telemetry.tracing) if settings.worker_beat else None
    try:
        worker = app.Worker(
            # Threads: gRPC's channels do not survive the fork of Celery's own pool, and there is
            # nothing here that would have to be killed.
            pool="threads",
            concurrency=settings.worker_concurrency,
            optimization="fair",
            quiet=True,
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        )
        worker.start()
    finally:
        is_stopping.set()
        if beat is not None:
            beat.stop()
        channel.close()
        telemetry.close()
        health.drain()
        health.stop()
        listener.stop()
        log.info("stopped")
    return int(worker.exitcode or 0)


if __name__ == "__main__":
    raise SystemExit(run_main(main))
