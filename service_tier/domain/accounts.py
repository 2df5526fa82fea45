"""What an e-mail address may be."""

from __future__ import annotations

import re
import unicodedata

# RFC 5321, sections 4.5.3.1.1 and 4.5.3.1.3, less the angle brackets.
MAX_EMAIL_LENGTH = 254
MAX_LOCAL_PART_LENGTH = 64

# RFC 5322's dot-atom. Quoted local parts and address literals are legal and never meant.
_ATOM_SYMBOLS = "!#$%&'*+/=?^_`{|}~-"
_LABEL = re.compile(r"[^\W_](?:[\w-]{0,61}[^\W_])?")


def normalize_email(text: str) -> str:
    """Return the address as it is kept: without surrounding space, in Unicode NFC.

    Letter case stays; that two addresses differing only in it are one is for the store to hold.
    """
    return unicodedata.normalize("NFC", text.strip())


def email_faults(email: str) -> list[str]:
    """Return what is wrong with a normalized address; nothing if it can be an account's.

    Letters beyond ASCII are taken on both sides of the "@" (RFC 6531).
    """
    # Folding can lengthen a text, and the folded form is what the store keeps unique.
    if max(len(email), len(_folded(email))) > MAX_EMAIL_LENGTH:
        return [f"Longer than {MAX_EMAIL_LENGTH} characters."]
    local, at, domain = email.rpartition("@")
    if not (at and _is_local_part(local) and _is_domain(domain)):
        return ["Not a valid email address."]
    return []


def is_same_address(one: str, other: str) -> bool:
    """True for two normalized addresses that differ in letter case only, which are one."""
    return _folded(one) == _folded(other)


def _folded(email: str) -> str:
    # Folding can undo the composition of a letter and its accent.
    return unicodedata.normalize("NFC", email.casefold())


def _is_local_part(text: str) -> bool:
    atoms = text.split(".")
    return len(text) <= MAX_LOCAL_PART_LENGTH and all(
        atom and all(_is_atom_character(character) for character in atom) for atom in atoms
    )


def _is_atom_character(character: str) -> bool:
    # Letters, marks and numbers of any script; of the rest, what RFC 5322 lists.
    return character in _ATOM_SYMBOLS or unicodedata.category(character)[0] in "LMN"


def _is_domain(text: str) -> bool:
    labels = text.split(".")
    # A name that ends in a number would be an IPv4 address (RFC 3696, section 2).
    return (
        len(labels) > 1 and not labels[-1].isdecimal() and all(_is_label(label) for label in labels)
    )


def _is_label(label: str) -> bool:
    return len(label) <= 63 and "_" not in label and _LABEL.fullmatch(label) is not None
