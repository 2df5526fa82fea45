"""A mail to many users: who gets it, and what may be in it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from service_tier.domain.mails import (
    CONTROL_CHARACTERS,
    MAX_SUBJECT_CHARACTERS,
    REQUIRED_FACTS,
    MailTemplate,
)
from tier_runtime.validation import REQUIRED

MAX_RECIPIENTS = 10_000
MAX_CONTEXT_ENTRIES = 20
MAX_CONTEXT_CHARACTERS = 5000
# The templates that may be mailed to many: those that need nothing of a single user's.
BULK_TEMPLATES = frozenset({MailTemplate.ANNOUNCEMENT})

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
# What the writer itself fills in.
_TAKEN = frozenset({"base_url", "link", "name", "order", "order_id", "product", "product_id"})


@dataclass(frozen=True, slots=True)
class BulkMail:
    """A mail to these users, or without any named to all active ones."""

    user_ids: Sequence[str] | None
    template: str
    subject: str
    context: Mapping[str, str]

    def faults(self) -> dict[str, list[str]]:
        """Return what is wrong with it, by field path."""
        return {
            "recipients": self._recipient_faults(),
            "subject": _subject_faults(self.subject),
            "template": self._template_faults(),
            "context": self._context_faults(),
        }

    def facts(self) -> dict[str, str]:
        """Return what each of the mails is written from."""
        return {**self.context, "subject": self.subject}

    def _recipient_faults(self) -> list[str]:
        if self.user_ids is None:
            return []
        if not self.user_ids:
            return [REQUIRED]
        if len(self.user_ids) > MAX_RECIPIENTS:
            return [f"More than {MAX_RECIPIENTS}."]
        if any(_ID.fullmatch(user_id) is None for user_id in self.user_ids):
            return ["Not the ids of users."]
        return []

    def _template_faults(self) -> list[str]:
        if not self.template:
            return [REQUIRED]
        if self.template not in BULK_TEMPLATES:
            return [f"Must be one of: {', '.join(sorted(BULK_TEMPLATES))}."]
        return []

    def _context_faults(self) -> list[str]:
        if len(self.context) > MAX_CONTEXT_ENTRIES:
            return [f"More than {MAX_CONTEXT_ENTRIES}."]
        faults = []
        for name, text in sorted(self.context.items()):
            if _NAME.fullmatch(name) is None or name in _TAKEN | {"subject"}:
                faults.append("Names are of a-z, 0-9 and _, and some are taken.")
            if len(text) > MAX_CONTEXT_CHARACTERS:
                faults.append(f"{name[:64]} is longer than {MAX_CONTEXT_CHARACTERS} characters.")
        if self.template in BULK_TEMPLATES:
            missing = REQUIRED_FACTS[MailTemplate(self.template)] - {"subject"} - set(self.context)
            faults += [f"{name} is required." for name in sorted(missing)]
        return list(dict.fromkeys(faults))


def _subject_faults(subject: str) -> list[str]:
    if not subject.strip():
        return [REQUIRED]
    if len(subject) > MAX_SUBJECT_CHARACTERS:
        return [f"Longer than {MAX_SUBJECT_CHARACTERS} characters."]
    if CONTROL_CHARACTERS.search(subject):
        return ["Must not hold control characters."]
    return []
