"""Reading the Dockerfile and the compose files as the tests of this folder need them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from tier_runtime.settings import TierSettings, describe

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
TIERS = ("controller", "service", "repository")
IMAGES = (*TIERS, "operator")
# What each `FROM ... AS name` holds, by the name.
STAGES = {
    match[1]: match[2]
    for match in re.finditer(
        r"^FROM \S+ AS (\S+)\n(.*?)(?=^FROM |\Z)", DOCKERFILE, re.MULTILINE | re.DOTALL
    )
}


class _Loader(yaml.SafeLoader):
    """Reads compose files, whose tags say how one file goes on top of another."""


def _override(loader: yaml.SafeLoader, node: yaml.Node) -> Any:
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node)
    assert isinstance(node, yaml.MappingNode)
    return loader.construct_mapping(node)


_Loader.add_constructor("!reset", lambda _loader, _node: None)
_Loader.add_constructor("!override", _override)


def compose_file(name: str) -> dict[str, Any]:
    """Read a compose file."""
    document: dict[str, Any] = yaml.load((ROOT / name).read_text(), _Loader)  # noqa: S506 - it is a SafeLoader.
    return document


def services_of(name: str) -> dict[str, dict[str, Any]]:
    """Read the services of a compose file."""
    services: dict[str, dict[str, Any]] = compose_file(name)["services"]
    return services


def environment_of(stage: str) -> dict[str, str]:
    """Read the variables that a stage of the Dockerfile sets."""
    block = re.findall(r"^ENV (.*?[^\\])$", STAGES[stage], re.MULTILINE | re.DOTALL)
    words = re.sub(r"^\s*#.*$|\\$", "", "\n".join(block), flags=re.MULTILINE)
    return dict(re.findall(r"([A-Z_]+)=(\S+)", words))


def names_of(*settings: type[TierSettings]) -> set[str]:
    """Give the variables that are read by settings, those that name secrets' files among them."""
    docs = [doc for each in settings for doc in describe(each)]
    return {doc.env_name for doc in docs} | {f"{doc.env_name}_FILE" for doc in docs if doc.secret}


def secrets_of(*settings: type[TierSettings]) -> set[str]:
    """Give the variables of settings that hold secrets themselves."""
    return {doc.env_name for each in settings for doc in describe(each) if doc.secret}
