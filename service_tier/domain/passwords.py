"""The one password policy, held on every route that sets a password."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection

MIN_LENGTH = 8
MAX_LENGTH = 128
# What is taken when a password is only compared: accounts may be older than the policy.
MAX_COMPARED_LENGTH = 1024


def normalize_password(text: str) -> str:
    """Return the password as it is hashed: in Unicode NFC (RFC 8265, section 4.2.2).

    The same keys pressed on two systems may come as different code points.
    """
    return unicodedata.normalize("NFC", text)


class PasswordPolicy:
    """Decides what may become a password.

    `common` holds lower-case words that everybody tries first; they are refused in any case.
    It is a list and no guess at variants: who is refused must be able to see why (NIST SP
    800-63B, section 5.1.1.2).
    """

    def __init__(self, common: Collection[str]) -> None:
        self._common = frozenset(common)

    def faults(self, password: str) -> list[str]:
        """Return everything that is wrong with a normalized password."""
        faults = []
        if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
            faults.append(f"Must have {MIN_LENGTH} to {MAX_LENGTH} characters.")
        # By Unicode's general categories: "upper case letter", "lower case letter", "digit".
        kinds = {unicodedata.category(character) for character in password}
        if "Lu" not in kinds:
            faults.append("Must hold at least one upper case letter.")
        if "Ll" not in kinds:
            faults.append("Must hold at least one lower case letter.")
        if "Nd" not in kinds:
            faults.append("Must hold at least one digit.")
        if self.is_common(password):
            faults.append("Is one of the passwords that are tried first.")
        return faults

    def is_common(self, password: str) -> bool:
        """True for a password on the list, in any letter case."""
        return password.casefold() in self._common


def compared_password_faults(password: str) -> list[str]:
    """Return what is wrong with a password that is only compared with a stored one."""
    if len(password) > MAX_COMPARED_LENGTH:
        return [f"Longer than {MAX_COMPARED_LENGTH} characters."]
    return []
