"""The Dockerfile says what the code says; without Docker."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from controller_tier.settings import ControllerSettings
from repository_tier.settings import RepositorySettings
from service_tier.settings import ServiceSettings
from tests.contract.container_files import (
    DOCKERFILE,
    IMAGES,
    ROOT,
    STAGES,
    TIERS,
    environment_of,
    names_of,
)

# What the interpreter is told in the images.
OF_PYTHON = {
    "LANG",
    "PATH",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONSAFEPATH",
    "PYTHONUNBUFFERED",
}


def _json_words(instruction: str, stage: str) -> list[str]:
    [words] = re.findall(rf"^\s*{instruction} (\[.*\])$", STAGES[stage], re.MULTILINE)
    found: list[str] = json.loads(words)
    return found


def test_the_images_are_targets_and_so_is_what_is_in_them() -> None:
    assert {*IMAGES, "sbom"} <= STAGES.keys()


def test_nothing_is_fetched_for_the_build_itself() -> None:
    # These ask a registry, which an offline build has not.
    assert "# syntax" not in DOCKERFILE
    assert "<<" not in DOCKERFILE
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) <= {
        "${PYTHON_IMAGE}",
        "scratch",
        *STAGES,
    }


@pytest.mark.parametrize("stage", ["interpreter", *IMAGES])
def test_every_variable_of_an_image_is_a_setting_of_its_tier(stage: str) -> None:
    known = {
        "controller": names_of(ControllerSettings),
        "service": names_of(ServiceSettings),
        "repository": names_of(RepositorySettings),
    }
    everybodys = {"ARCANA_HOME"} if stage == "interpreter" else set()
    assert environment_of(stage).keys() <= known.get(stage, set()) | OF_PYTHON | everybodys


@pytest.mark.parametrize("stage", TIERS)
def test_an_image_starts_its_tier_as_a_user_without_rights_and_without_a_shell(stage: str) -> None:
    assert _json_words("ENTRYPOINT", stage) == ["python", "-m", f"{stage}_tier.main"]
    assert (ROOT / f"{stage}_tier" / "main.py").exists()
    assert "USER 10001:10001" in STAGES["interpreter"]
    assert "STOPSIGNAL SIGTERM" in STAGES["interpreter"]
    assert "USER" not in STAGES[stage]


def test_the_operators_image_ends_up_as_that_user_too() -> None:
    assert re.findall(r"^USER (\S+)", STAGES["operator"], re.MULTILINE)[-1] == "10001:10001"


@pytest.mark.parametrize("stage", TIERS)
def test_an_image_tells_the_ports_that_it_listens_on_and_asks_itself_at_one(stage: str) -> None:
    environment = environment_of(stage)
    listens = {value.rpartition(":")[2] for name, value in environment.items() if "_BIND" in name}
    [exposed] = re.findall(r"^EXPOSE (.*)$", STAGES[stage], re.MULTILINE)
    # The last one is that of metrics, which are off until METRICS_BIND is set.
    assert set(exposed.split()) == {*listens, "9464"}
    asked = _json_words("CMD", stage)
    assert asked[:3] == ["python", "-m", "tier_runtime.probe"]
    port = re.findall(r":(\d+)", asked[3])[-1]
    bind = "CONTROLLER_BIND" if stage == "controller" else "HEALTH_BIND"
    assert environment[bind] == f"0.0.0.0:{port}"


def test_each_image_is_built_from_its_own_tier_only() -> None:
    copied = {
        stage: set(re.findall(r"^COPY ([a-z_/]+) \S+$", STAGES[f"{stage}-wheel"], re.MULTILINE))
        for stage in TIERS
    }
    contracts = {f"shared_protos/arcana/{name}" for name in ("service", "repository")}
    assert copied == {
        "controller": {"controller_tier", "shared_protos/arcana/service"},
        "service": {"service_tier", *contracts},
        "repository": {"repository_tier", "migrations", *contracts},
    }


def test_nothing_but_what_is_copied_is_sent_to_the_builder() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    allowed = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    assert not {each for each in allowed if each.startswith((".env", ".arcana", ".git", "tests"))}
    copied = {
        word
        for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE)
        for word in line.split()[:-1]
    }
    missing = {
        word
        for word in copied
        if not any(
            word == each or word.startswith(f"{each}/") or Path(word).match(each)
            for each in allowed
        )
    }
    assert missing == set()
