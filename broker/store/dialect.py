"""The differences between S3 stores as data: one entry for each kind of store, found by its endpoint.

To support another kind of store, add its entry to ``DIALECTS``. Outside this module, ``settings.endpoint`` validates
R2's own host names, and nothing else depends on the kind of store.
"""

import re
from dataclasses import dataclass, replace
from typing import Final


@dataclass(frozen=True, slots=True)
class Dialect:
    """One kind of S3 store. The defaults are those of an unknown store.

    - ``endpoint``: matches the endpoints of this kind; a group named ``region`` matches the region to sign with.
    - ``region``: the region to sign with, unless the endpoint has one.
    - ``checks_uploads``: a PUT with a signed ``x-amz-checksum-sha256`` is refused if the bytes have another checksum.
    - ``checks_part_source``: UploadPartCopy honours ``x-amz-copy-source-if-match``. If a store responds
      with 501 nevertheless, it does not receive this header field again.
    - ``copy_condition``: the header field that, with the value ``*``, lets CopyObject refuse to replace an object.
      Where a store ignores it, a second copy of the same verified version may replace a ready object.
    """

    name: str
    endpoint: re.Pattern[str]
    region: str = "auto"
    checks_uploads: bool = False
    checks_part_source: bool = True
    copy_condition: str = "cf-copy-destination-if-none-match"  # R2's extension, which other stores ignore


DIALECTS: Final = (
    # checks_uploads: 400 BadDigest, measured on a real bucket. checks_part_source: honoured by real buckets, although
    # developers.cloudflare.com/r2/api/s3/api says that it is not. copy_condition: /r2/api/s3/extensions.
    Dialect(
        "Cloudflare R2",
        re.compile(r"https://[0-9a-z.-]+\.r2\.cloudflarestorage\.com"),
        checks_uploads=True,
    ),
    # Endpoints: docs.aws.amazon.com/general/latest/gr/s3.html. The others: AmazonS3/latest/userguide/
    # checking-object-integrity.html, AmazonS3/latest/API/API_UploadPartCopy.html and API_CopyObject.html.
    Dialect(
        "Amazon S3",
        re.compile(
            r"https://s3(?:-fips)?(?:\.dualstack)?(?:[.-](?P<region>[a-z]{2,4}(?:-[a-z]+)+-[0-9]+))?"
            r"\.amazonaws\.com(?:\.cn)?"
        ),
        region="us-east-1",
        checks_uploads=True,
        copy_condition="if-none-match",
    ),
)
"""All known kinds of stores."""

UNKNOWN: Final = Dialect("an S3 store", re.compile(r".*"))
"""Any other endpoint, such as SeaweedFS on this machine."""


def dialect_of(endpoint: str) -> Dialect:
    """Return the dialect of the store at ``endpoint``, whose scheme and host are in lower case."""
    for dialect in DIALECTS:
        if match := dialect.endpoint.fullmatch(endpoint):
            return replace(dialect, region=match.groupdict().get("region") or dialect.region)
    return UNKNOWN
