from __future__ import annotations

from benchmarks.processes import environment


def test_of_the_shells_environment_only_what_any_program_needs_gets_in() -> None:
    shell = {
        "PATH": "/bin",
        "LC_ALL": "C.UTF-8",
        "COALESCE_MAX_BATCH": "1",
        "SERVICE_URLS": "users=grpc://elsewhere:1",
        "WEB_THREADS": "1",
        "LOG_LEVEL": "debug",
        "HTTP_PROXY": "http://proxy.example",
    }
    seen = environment({"LOG_LEVEL": "info"}, shell)
    assert set(seen) == {"PATH", "LC_ALL", "LOG_LEVEL", "NO_PROXY", "PYTHONPATH"}
    assert seen["LOG_LEVEL"] == "info"
