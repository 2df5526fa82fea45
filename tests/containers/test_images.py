"""What is in the images, and what a container of them may do."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import ContainerError
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from requirements.split_lock import part_of, read_lock
from tests.system.composed import VERSION, Composed

ROOT = Path(__file__).resolve().parents[2]
LOCKS = {
    "controller": "controller",
    "service": "service",
    "repository": "repository",
    "operator": "run",
}
STORES = ("sqlalchemy", "pymysql", "redis", "hiredis", "celery", "alembic", "boto3")
WEB = ("flask", "marshmallow", "flask_smorest", "webargs")
INSTALLERS = ("pip", "ensurepip", "setuptools", "hatchling")
# What an image must not be able to import.
KEPT_OUT = {
    "controller": (
        *STORES,
        *INSTALLERS,
        *("service_tier", "repository_tier", "migrations", "launcher", "arcana.repository"),
    ),
    "service": (*STORES, *WEB, *INSTALLERS, "controller_tier", "repository_tier", "launcher"),
    "repository": (*WEB, *INSTALLERS, "controller_tier", "service_tier", "launcher"),
    "operator": INSTALLERS,
}
TIERS = {name: f"{name}_tier.main" for name in ("controller", "service", "repository")}
# Prints what is asked, as JSON, from inside.
PACKAGES = (
    "import importlib.metadata as m, json;"
    "print(json.dumps({d.metadata['Name']: d.version for d in m.distributions()}))"
)
IMPORTABLE = """
import importlib.util, json, sys
def is_there(name):
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False
print(json.dumps([name for name in sys.argv[1:] if is_there(name)]))
"""
TOOLS = """
import json, shutil, sys
print(json.dumps([name for name in sys.argv[1:] if shutil.which(name)]))
"""
WRITING = """
import json, os, pathlib
refused = []
for folder in ("/", "/opt/arcana", "/opt/venv", "/opt/venv/lib/python3.14/site-packages", "/etc"):
    try:
        pathlib.Path(folder, "probe").write_text("x")
    except OSError as error:
        refused.append(folder)
print(json.dumps({"uid": os.getuid(), "gid": os.getgid(), "refused": refused}))
"""


def _ask(system: Composed, image: str, code: str, *arguments: str) -> Any:
    return json.loads(system.run_once(["python", "-c", code, *arguments], image))


def _locked(image: str) -> dict[str, str]:
    """Give what the lock of an image's packages has for its Python, by their names."""
    text = (ROOT / "requirements" / f"{LOCKS[image]}.lock").read_text()
    environment = {
        "python_version": "3.14",
        "python_full_version": "3.14.0",
        "sys_platform": "linux",
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
        "os_name": "posix",
    }
    found: dict[str, str] = {}
    for several in read_lock(part_of(text, "run")).values():
        for each in several:
            wanted = Requirement(each.text.splitlines()[0].removesuffix("\\").strip())
            if wanted.marker is None or wanted.marker.evaluate(environment):
                found[canonicalize_name(wanted.name)] = str(wanted.specifier).removeprefix("==")
    return found


@pytest.mark.parametrize("image", LOCKS)
def test_an_image_has_the_packages_of_its_lock_and_nothing_else(
    system: Composed, image: str
) -> None:
    installed = _ask(system, image, PACKAGES)
    found = {str(canonicalize_name(name)): version for name, version in installed.items()}
    found.pop("arcana")
    assert found == _locked(image)


@pytest.mark.parametrize("image", KEPT_OUT)
def test_an_image_cannot_import_what_is_another_tiers_business(
    system: Composed, image: str
) -> None:
    assert _ask(system, image, IMPORTABLE, *KEPT_OUT[image]) == []


@pytest.mark.parametrize(("image", "module"), TIERS.items())
def test_an_image_can_import_its_own_tier(system: Composed, image: str, module: str) -> None:
    system.run_once(["python", "-c", f"import {module}"], image)


@pytest.mark.parametrize("image", LOCKS)
def test_an_image_has_no_compiler_and_no_tool_that_fetches(system: Composed, image: str) -> None:
    tools = ("pip", "pip3", "gcc", "cc", "make", "git", "curl", "wget")
    assert _ask(system, image, TOOLS, *tools) == []


@pytest.mark.parametrize("image", LOCKS)
def test_a_container_is_nobody_and_can_write_nowhere(system: Composed, image: str) -> None:
    told = _ask(system, image, WRITING)
    assert (told["uid"], told["gid"]) == (10001, 10001)
    assert len(told["refused"]) == 5


@pytest.mark.parametrize("image", LOCKS)
def test_an_image_says_what_it_is_and_from_what_it_was_made(image: str) -> None:
    config = docker.from_env().images.get(f"arcana-{image}:{VERSION}").attrs["Config"]
    label = "org.opencontainers.image."
    told = {name.removeprefix(label): value for name, value in config["Labels"].items()}
    assert told["title"] == f"arcana-{image}"
    assert told["version"] == VERSION
    assert {"revision", "created", "licenses", "description"} <= told.keys()
    assert config["User"] == "10001:10001"
    assert config["StopSignal"] == "SIGTERM"


@pytest.mark.parametrize("service", [*TIERS, "worker", "mysql", "redis"])
def test_a_running_container_has_no_rights_and_a_root_that_it_cannot_write(
    system: Composed, service: str
) -> None:
    with system.one_more("worker") if service == "worker" else nullcontext():
        for container in system.containers(service):
            host = container.attrs["HostConfig"]
            assert host["ReadonlyRootfs"] is True
            assert host["CapDrop"] == ["ALL"]
            assert not host["CapAdd"]
            assert "no-new-privileges:true" in host["SecurityOpt"]
            assert host["Memory"] > 0
            assert host["NanoCpus"] > 0
            assert host["PidsLimit"] > 0
            # As the kernel has it for the process itself: no capability, whatever the engine says.
            status = Path(f"/proc/{container.attrs['State']['Pid']}/status").read_text()
            fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
            assert int(fields["CapEff"], 16) == 0
            assert fields["NoNewPrivs"].strip() == "1"
            assert fields["Uid"].split()[0] != "0"


def test_a_container_that_cannot_reach_what_its_settings_name_says_so_and_ends(
    system: Composed,
) -> None:
    with pytest.raises(ContainerError) as ended:
        system.run_once(
            ["python", "-m", "repository_tier.main"],
            "repository",
            environment={
                "DATABASE_URL": "mysql+pymysql://a:b@127.0.0.1:1/arcana",
                "REPOSITORY_BIND": "127.0.0.1:50052",
                "ARCANA_HOME": "/tmp/arcana",  # noqa: S108 - inside the container.
            },
        )
    assert ended.value.exit_status == 2
    assert b"does not answer" in ended.value.stderr
