"""Parts of requests to the store: the source of a copy, and XML bodies."""

import html
from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

from broker.core.model import ObjectRef, Part

_XMLNS: Final = "http://s3.amazonaws.com/doc/2006-03-01/"


def copy_source(ref: ObjectRef) -> str:
    """Return the value of x-amz-copy-source, without a leading slash, which R2 refuses."""
    return f"{ref.bucket}/{quote(ref.key)}"


def delete_request(keys: Sequence[str]) -> bytes:
    """Return the body of a DeleteObjects request."""
    objects = "".join(f"<Object><Key>{html.escape(key, quote=False)}</Key></Object>" for key in keys)
    return f'<Delete xmlns="{_XMLNS}">{objects}</Delete>'.encode()


def complete_request(parts: Sequence[Part]) -> bytes:
    """Return the body of a CompleteMultipartUpload request."""
    tags = (html.escape(part.etag, quote=False) for part in parts)
    listed = "".join(
        f"<Part><PartNumber>{part.number}</PartNumber><ETag>&quot;{tag}&quot;</ETag></Part>"
        for part, tag in zip(parts, tags, strict=True)
    )
    return f'<CompleteMultipartUpload xmlns="{_XMLNS}">{listed}</CompleteMultipartUpload>'.encode()
