"""The bounds and costs in the text of docs/scaling.md, compared with the code; tests/bench has its tables."""

import pytest

from broker.auth.jwk_set import JWKS_BYTES_MAX, JWKS_KEYS_MAX
from broker.auth.token_cache import TOKEN_CACHE_CAPACITY
from broker.core.limits import GIB, MIB
from broker.core.upload_rules import UploadPolicy
from broker.server.file_descriptors import LIMIT_MAX, RESERVE
from broker.server.log_writer import BUFFER_MAX
from broker.service.multipart import MAX_CONCURRENCY
from broker.service.promotion import COPY_MAX, DEADLINE, RANGE
from broker.service.proxied_uploads import BUFFERS, PLACES
from broker.service.rate_limit import Cost
from broker.settings.variables import STORE_CONCURRENCY, VARIABLES
from broker.store.timeouts import DEFAULT_TIMEOUTS

from .markdown import ROOT, read

TEXT = " ".join(read(ROOT / "docs" / "scaling.md").split())
UPLOAD_COST = 1 + (1 + Cost.UPLOAD_STATUS) + (1 + Cost.CONFIRM) + 5
LIMIT = int(VARIABLES["BROKER_RATE_LIMIT"].default)


@pytest.mark.parametrize(
    "fact",
    [
        f"{LIMIT_MAX - RESERVE:,} connections",
        f"{TOKEN_CACHE_CAPACITY:,} tokens of a worker",
        f"remembers {TOKEN_CACHE_CAPACITY:,} tokens for a minute",
        f"{BUFFERS} buffers of 8 MiB, and {PLACES} forms",
        f"{JWKS_KEYS_MAX} keys and {JWKS_BYTES_MAX // 1024} KiB",
        f"{BUFFER_MAX // MIB} MiB, then the oldest lines",
        f"`R2_CONCURRENCY` ({STORE_CONCURRENCY})",
        f"Clients send {MAX_CONCURRENCY} (`maxConcurrency`)",
        f"above {COPY_MAX // GIB} GiB is promoted in ranges of {RANGE // MIB} MiB",
        "copies for ten seconds" if DEADLINE == 10 else "another deadline",
        "longer than its ten seconds" if DEFAULT_TIMEOUTS.listing == 10 else "another timeout",
        "four days by default" if UploadPolicy().retention_days == 4 else "another retention",
        f"`BROKER_RATE_LIMIT` is {LIMIT:,} a minute",
        f"five links costs {UPLOAD_COST}, so one user can make {LIMIT // UPLOAD_COST} of them",
    ],
)
def test_fact_is_that_of_the_code(fact: str) -> None:
    """Each number in the text is that of the code."""
    assert fact in TEXT
