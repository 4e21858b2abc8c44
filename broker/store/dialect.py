"""The differences between S3 stores as data: one entry for each kind of store, found by its endpoint.

To support another kind of store, add its entry to ``DIALECTS``. Outside this module, ``settings.endpoint`` validates
R2's own host names, and nothing else depends on the kind of store.
"""

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from broker.crypto.presigner import Presigner
from broker.crypto.sigv4 import Credentials
from broker.crypto.virtual_hosts import VirtualHostPresigner


class Addressing(StrEnum):
    """The place of the bucket's name in a URL. The values are those of botocore's ``addressing_style``."""

    PATH = "path"
    VIRTUAL = "virtual"


_PRESIGNERS: Final = {Addressing.PATH: Presigner, Addressing.VIRTUAL: VirtualHostPresigner}


@dataclass(frozen=True, slots=True)
class Dialect:
    """One kind of S3 store. The defaults are those of an unknown store.

    - ``endpoint``: matches the endpoints of this kind; a group named ``region`` matches the region to sign with.
    - ``region``: the region to sign with, unless the endpoint has one.
    - ``addressing``: whether the bucket is named in the path or in the host of a URL.
    - ``unnamed_regions``: the regions in which a bucket is created without a LocationConstraint. R2 has one region, and
      SeaweedFS ignores it; Amazon S3 requires it in all regions but us-east-1, where it refuses it.
    - ``checks_uploads``: a PUT with a signed ``x-amz-checksum-sha256`` is refused if the bytes have another checksum.
    - ``checks_part_source``: UploadPartCopy honours ``x-amz-copy-source-if-match``. If a store responds
      with 501 nevertheless, it does not receive this header field again.
    - ``copy_condition``: the header field that, with the value ``*``, lets CopyObject refuse to replace an object.
      Where a store ignores it, a second copy of the same verified version may replace a ready object.
    """

    name: str
    endpoint: re.Pattern[str]
    region: str = "auto"
    addressing: Addressing = Addressing.PATH
    unnamed_regions: frozenset[str] = frozenset({"auto"})
    checks_uploads: bool = False
    checks_part_source: bool = True
    copy_condition: str = "cf-copy-destination-if-none-match"  # R2's extension, which other stores ignore

    @property
    def location_constraint(self) -> str | None:
        """The region that CreateBucket names; ``None`` where it names none."""
        return None if self.region in self.unnamed_regions else self.region

    def presigner(self, credentials: Credentials, endpoint: str) -> Presigner:
        """Return a presigner for the store at ``endpoint``."""
        return _PRESIGNERS[self.addressing](credentials, endpoint, region=self.region)


DIALECTS: Final = (
    # checks_uploads: 400 BadDigest, measured on a real bucket. checks_part_source: honoured by real buckets, although
    # developers.cloudflare.com/r2/api/s3/api says that it is not. copy_condition: /r2/api/s3/extensions.
    Dialect(
        "Cloudflare R2",
        re.compile(r"https://[0-9a-z.-]+\.r2\.cloudflarestorage\.com"),
        checks_uploads=True,
    ),
    # Endpoints: docs.aws.amazon.com/general/latest/gr/s3.html. The others: AmazonS3/latest/userguide/
    # checking-object-integrity.html and VirtualHosting.html, AmazonS3/latest/API/API_UploadPartCopy.html,
    # API_CopyObject.html and API_CreateBucket.html.
    Dialect(
        "Amazon S3",
        re.compile(
            r"https://s3(?:-fips)?(?:\.dualstack)?(?:[.-](?P<region>[a-z]{2,4}(?:-[a-z]+)+-[0-9]+))?"
            r"\.amazonaws\.com(?:\.cn)?"
        ),
        region="us-east-1",
        addressing=Addressing.VIRTUAL,
        unnamed_regions=frozenset({"us-east-1"}),
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
