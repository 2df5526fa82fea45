"""What is true of a system in containers in each of the layouts."""

from __future__ import annotations

from docker.models.containers import Container

from tests.stores.waiting import eventually
from tests.system.client import Edge, expect
from tests.system.composed import Composed
from tests.system.wiring import COMPOSED

SERVICE = "com.docker.compose.service"


def _told_services(system: Composed) -> set[str]:
    """Give what the compose files have that is started by `up`."""
    services = set(system.compose("config", "--services").split())
    # The tests of the edge start one where they need it.
    return services - {"worker"} if system.wiring == COMPOSED else services


def _is_well(container: Container) -> bool:
    """Tell whether a container did what it was to do once, or is healthy and always was up."""
    state = container.attrs["State"]
    if container.attrs["HostConfig"]["RestartPolicy"]["Name"] == "no":
        return (state["Status"], state["ExitCode"]) == ("exited", 0)
    health = state["Health"]["Status"] if "Health" in state else "none"
    return (health, container.attrs["RestartCount"]) == ("healthy", 0)


def _ill(system: Composed) -> dict[str, dict[str, object]]:
    found = system.containers(stopped=True)
    return {each.name: each.attrs["State"] for each in found if not _is_well(each)}


def test_all_containers_of_the_layout_are_there_and_healthy(system: Composed) -> None:
    found = {each.labels[SERVICE] for each in system.containers(stopped=True)}
    assert found == _told_services(system)

    def expect_all_well() -> bool:
        assert _ill(system) == {}
        return True

    eventually(expect_all_well, 30, "healthy containers", interval=0.5)


def test_the_edge_finds_every_process_that_it_calls(system: Composed, edge: Edge) -> None:
    health = expect(edge.get("/health"), 200)
    assert set(health["tiers"].values()) == {"up"}
    # A monolith calls none.
    called = system.services_of("service") if system.wiring.services else ()
    closed = {name.replace("-", "_"): "closed" for name in called}
    assert health["breakers"] == closed


def test_an_operator_is_told_where_the_edge_is(system: Composed) -> None:
    [container] = system.tier("controller")
    told = "Up: http://127.0.0.1:{}/docs, gRPC at 127.0.0.1:{}"
    ports = (container.ports[f"{port}/tcp"][0]["HostPort"] for port in (5000, 50050))
    assert system.addresses() == [told.format(*ports)]
