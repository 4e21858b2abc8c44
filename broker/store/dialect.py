"""What is known of a store by its endpoint, as data."""

import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Dialect:
    """One kind of S3 store.

    ``checks_uploads``: a PUT whose URL signs ``x-amz-checksum-sha256`` is refused when the bytes have another checksum.
    """

    name: str
    checks_uploads: bool


_R2: Final = Dialect("Cloudflare R2", checks_uploads=True)  # 400 BadDigest, measured on a real bucket
_AWS: Final = Dialect("Amazon S3", checks_uploads=True)  # AmazonS3/latest/userguide/checking-object-integrity.html
_OTHER: Final = Dialect("an S3 store", checks_uploads=False)

_HOSTS: Final = (
    (re.compile(r"https://[0-9a-z.-]+\.r2\.cloudflarestorage\.com"), _R2),
    (re.compile(r"https://s3[0-9a-z.-]*\.amazonaws\.com"), _AWS),
)


def dialect_of(endpoint: str) -> Dialect:
    """The dialect of the store at ``endpoint``, its scheme and host in lower case."""
    return next((dialect for host, dialect in _HOSTS if host.fullmatch(endpoint)), _OTHER)
