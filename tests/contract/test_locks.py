"""The locks of the images agree with the one that everything else runs on."""

from __future__ import annotations

import subprocess
import sys
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from requirements.split_lock import for_build, only_for_build, part_of, read_lock
from tests.contract.container_files import ROOT, TIERS

FOLDER = ROOT / "requirements"
STORES = {"alembic", "boto3", "celery", "hiredis", "pymysql", "redis", "sqlalchemy"}
WEB = {"flask", "flask-smorest", "marshmallow", "webargs"}
# A package and the backend that builds this project, which needs another one of both.
LOCK = """\
backend==1.0 \\
    --hash=sha256:00
    # via arcana (pyproject.toml:build)
shared==2.0 ; python_version < '3.12' \\
    --hash=sha256:01
    # via
    #   -c requirements/run.lock
    #   backend
    #   used
shared==2.1 ; python_version >= '3.12' \\
    --hash=sha256:02
    # via
    #   backend
    #   used
spare==3.0 \\
    --hash=sha256:03
    # via backend
used==4.0 \\
    --hash=sha256:04
    # via arcana (pyproject.toml)
"""


def _lock(name: str) -> str:
    return (FOLDER / f"{name}.lock").read_text()


def _versions(text: str) -> dict[str, set[str]]:
    return {
        name: {each.text.splitlines()[0] for each in several}
        for name, several in read_lock(text).items()
    }


@pytest.mark.parametrize("tier", TIERS)
def test_a_tiers_lock_has_the_versions_of_the_lock_that_is_tested(tier: str) -> None:
    run = _versions(_lock("run"))
    own = _versions(_lock(tier))
    # Markers differ: what Windows needs of one package, another may need as well.
    names = {name: {line.split(" ")[0] for line in lines} for name, lines in own.items()}
    assert names
    for name, found in names.items():
        assert found <= {line.split(" ")[0] for line in run[name]}, name


@pytest.mark.parametrize("tier", TIERS)
def test_a_tiers_lock_has_what_its_extra_asks_for(tier: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    asked = project["dependencies"] + extras[tier]
    if tier == "repository":
        asked = asked + extras["s3"]
    names = {canonicalize_name(Requirement(each).name) for each in asked}
    assert names <= read_lock(part_of(_lock(tier), "run")).keys()


@pytest.mark.parametrize("tier", ["controller", "service"])
def test_no_tier_but_the_repository_has_a_driver_of_a_store(tier: str) -> None:
    assert STORES & read_lock(_lock(tier)).keys() == set()
    assert read_lock(_lock("repository")).keys() >= STORES


@pytest.mark.parametrize("tier", ["service", "repository"])
def test_no_tier_but_the_controller_has_what_speaks_to_browsers(tier: str) -> None:
    assert WEB & read_lock(_lock(tier)).keys() == set()


@pytest.mark.parametrize("name", [*TIERS, "run", "sbom"])
def test_every_package_of_an_image_is_known_by_its_hash(name: str) -> None:
    for package, several in read_lock(_lock(name)).items():
        for each in several:
            assert "--hash=sha256:" in each.text, package


def test_a_lock_is_split_by_who_wants_a_package() -> None:
    lock = read_lock(LOCK)
    assert {name: len(several) for name, several in lock.items()} == {
        "backend": 1,
        "shared": 2,
        "spare": 1,
        "used": 1,
    }
    assert lock["shared"][0].wanted_by == {"backend", "used"}
    assert only_for_build(lock) == {"backend", "spare"}
    assert for_build(lock) == {"backend", "shared", "spare"}
    run, build = part_of(LOCK, "run"), part_of(LOCK, "build")
    assert read_lock(run).keys() == {"shared", "used"}
    assert read_lock(build).keys() == {"backend", "shared", "spare"}
    # What pip is given is unchanged, hashes and markers included.
    assert set((run + build).splitlines()) == set(LOCK.splitlines())


@pytest.mark.parametrize("part", ["run", "build"])
def test_the_command_prints_the_part_that_is_asked_for(part: str) -> None:
    command = [sys.executable, "requirements/split_lock.py", part, "requirements/service.lock"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == part_of(_lock("service"), part)


def test_the_command_says_how_it_is_used() -> None:
    command = [sys.executable, "requirements/split_lock.py", "all", "requirements/service.lock"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "usage:" in done.stderr
