"""A quota: the cost that one caller may spend in a minute, and the header fields that state it."""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

MINUTE: Final = 60
"""Seconds in which a quota may be spent."""


class Quota(NamedTuple):
    """The quota of each caller. ``partition`` is the kind of caller: a principal, or the address of a client."""

    partition: Literal["principal", "address"]
    per_minute: int

    def fields(self, remaining: int, seconds: int) -> Mapping[str, str]:
        """Return the fields of draft-ietf-httpapi-ratelimit-headers-11.

        ``remaining`` is the cost that may be spent within the next ``seconds``.
        """
        return {
            "RateLimit-Policy": f'"{self.partition}";q={self.per_minute};w={MINUTE}',
            "RateLimit": f'"{self.partition}";r={remaining};t={seconds}',
        }
