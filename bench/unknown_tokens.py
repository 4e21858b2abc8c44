"""Requests a second of creates whose token the broker has not cached (F16).

Most users upload one file with one token, so their request pays for the verification of its signature. wrk sends more
tokens in turn than the broker's cache holds: each one was evicted before it comes again.
"""

from collections.abc import Iterator

from broker.auth.token_cache import TOKEN_CACHE_CAPACITY

from . import ours
from .answering import bare, of_bare, published, versus
from .figures import Effort, Figure, at_least

TOKENS = 2 * TOKEN_CACHE_CAPACITY
"""Tokens, each of another user. The cache evicts its oldest token first."""


def figures(effort: Effort) -> Iterator[Figure]:
    """Measure both rows of F16."""
    with ours.broker() as broker, bare() as other:
        creates = [ours.create(ours.token(f"user-{number}")) for number in range(TOKENS)]
        pair = (broker, creates), (other, [of_bare(creates[0])])
        yield versus(effort, "F16", "create, HS256, unknown token", at_least(0.6), *pair)
    with published(TOKENS) as (environment, tokens), ours.broker(environment) as broker, bare() as other:
        creates = [ours.create(token) for token in tokens]
        pair = (broker, creates), (other, [of_bare(creates[0])])
        yield versus(effort, "F16", "create, ES256 by JWKS, unknown token", at_least(0.3), *pair)
