"""A quota: the cost that one caller may spend in a minute, and the header fields that state it."""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple, TypeAlias, get_args

MINUTE: Final = 60
"""Seconds in which a quota may be spent."""


Partition: TypeAlias = Literal["principal", "address"]
"""The kind of caller that has a quota: a principal, or the address of a client."""

PARTITIONS: Final[tuple[Partition, ...]] = get_args(Partition)
"""All partitions."""


class Quota(NamedTuple):
    """The quota of each caller of one kind."""

    partition: Partition
    per_minute: int

    def fields(self, remaining: int, seconds: int) -> Mapping[str, str]:
        """Return the fields of draft-ietf-httpapi-ratelimit-headers-11.

        ``remaining`` is the cost that may be spent within the next ``seconds``.
        """
        return {
            "RateLimit-Policy": f'"{self.partition}";q={self.per_minute};w={MINUTE}',
            "RateLimit": f'"{self.partition}";r={remaining};t={seconds}',
        }
