"""Passwords in addresses, kept out of what is printed and stored."""

from __future__ import annotations

import re

_PASSWORD = re.compile(r"(?<=://)([^/@:\s'\"]*):[^/\s'\"]*@")


def redact(text: str) -> str:
    """The text with the password of every address in it (`scheme://name:password@host`) replaced by three asterisks."""
    return _PASSWORD.sub(r"\1:***@", text)
