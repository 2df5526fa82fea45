"""What a user may tell of themself."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from urllib.parse import urlsplit

MAX_AVATAR_URL_LENGTH = 500
MAX_BIO_LENGTH = 1000

# ITU-T E.164: a country code, which never starts with 0, and at most 15 digits in all.
_E164 = re.compile(r"\+[1-9][0-9]{1,14}")
# What RFC 3986 lets stand in a URL; anything else must come percent-encoded.
_URL = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")


@dataclass(frozen=True, slots=True)
class Profile:
    """The profile's fields as they are kept; an empty one is not told."""

    avatar_url: str = ""
    bio: str = ""
    phone: str = ""

    @classmethod
    def normalized(cls, *, avatar_url: str, bio: str, phone: str) -> Profile:
        """Return the profile without surrounding space, in Unicode NFC."""
        return cls(avatar_url.strip(), unicodedata.normalize("NFC", bio.strip()), phone.strip())

    def faults(self) -> dict[str, list[str]]:
        """Return what is wrong with each field."""
        return {
            "avatar_url": _avatar_url_faults(self.avatar_url),
            "bio": _bio_faults(self.bio),
            "phone": _phone_faults(self.phone),
        }


def _avatar_url_faults(url: str) -> list[str]:
    if len(url) > MAX_AVATAR_URL_LENGTH:
        return [f"Longer than {MAX_AVATAR_URL_LENGTH} characters."]
    if url and not _is_web_address(url):
        return ["Not a valid http or https URL."]
    return []


def _is_web_address(url: str) -> bool:
    if _URL.fullmatch(url) is None:
        return False
    try:
        parts = urlsplit(url)
        # The port is parsed only when it is asked for.
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _bio_faults(bio: str) -> list[str]:
    return [f"Longer than {MAX_BIO_LENGTH} characters."] if len(bio) > MAX_BIO_LENGTH else []


def _phone_faults(phone: str) -> list[str]:
    if phone and _E164.fullmatch(phone) is None:
        return ["Not a phone number in E.164 form, such as +4915112345678."]
    return []
