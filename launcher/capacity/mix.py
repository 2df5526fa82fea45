"""Which requests a load is made of: `read=70,list=10,login=5,…`."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from types import MappingProxyType

from tier_runtime.startup import StartupError

# What is read one by one is users and products, in equal parts unless they are named apart.
GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType({"read": ("read-user", "read-product")})
USUAL_MIX = "read=70,list=10,search=5,login=5,create=2,order=8"


def parse_mix(text: str, known: Collection[str]) -> dict[str, float]:
    """Return the share of each operation; shares add up to 1, whatever the numbers add up to.

    Args:
        text: operations with how much of each there is, as `name=number`, separated by commas.
        known: the operations whose costs are known.

    Raises:
        StartupError: naming every fault.
    """
    amounts: dict[str, float] = {}
    faults: list[str] = []
    for entry in filter(None, map(str.strip, text.split(","))):
        name, _, number = map(str.strip, entry.partition("="))
        members = GROUPS.get(name, (name,))
        if not set(members) <= set(known):
            faults.append(f"--mix: there are no costs of {name!r}; known are {_listed(known)}.")
            continue
        amount = _amount(number)
        if amount is None:
            faults.append(f"--mix: {entry!r} must be {name}=NUMBER, with a number from 0 up.")
            continue
        for member in members:
            amounts[member] = amounts.get(member, 0.0) + amount / len(members)
    if faults:
        raise StartupError("\n".join(faults))
    total = sum(amounts.values())
    if not (0 < total < math.inf):
        raise StartupError("--mix: names nothing that is asked for, such as read=90,order=10.")
    return {name: amount / total for name, amount in amounts.items() if amount}


def _amount(number: str) -> float | None:
    try:
        amount = float(number)
    except ValueError:
        return None
    return amount if math.isfinite(amount) and amount >= 0 else None


def _listed(known: Collection[str]) -> str:
    groups = [name for name, members in GROUPS.items() if set(members) <= set(known)]
    return ", ".join([*groups, *known])
