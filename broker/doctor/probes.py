"""The objects that an examination makes: their names, their content, and the removal of all of them.

Every UUID begins with ``PROBE_UUID``, so that remains of an interrupted examination are recognised: the next one
removes them, and the lifecycle rule of the bucket removes those that are staged.
"""

import hashlib
import secrets
import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from broker.core.media import MEDIA_TYPE_BY_NAME
from broker.core.model import FileSpec, ObjectRef
from broker.core.object_keys import READY_PREFIX, STAGING_PREFIX, ready_key, staging_key
from broker.errors import StorageUnavailableError
from broker.store.port import ObjectStore
from broker.store.s3_responses import root_of

from .wire import NoResponseError, Wire

PROBE_UUID: Final = "d0c70000-0000-4000-8000-"
"""The start of the UUID of each object of an examination. No upload has it: 74 random bits would have to agree."""

PROBES_MAX: Final = 1000
"""The largest number of remains that one examination removes in each bucket."""

_RUN_DIGITS: Final = 8


def _png() -> bytes:
    """Return a picture of one pixel."""
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"\0\0")),
        (b"IEND", b""),
    ]
    parts = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


CONTENT: Final = _png()
"""The bytes of a probe."""

OTHER_CONTENT: Final = CONTENT[:-1] + bytes((CONTENT[-1] ^ 1,))
"""Other bytes of the same size."""

FILE: Final = FileSpec(
    "broker-doctor.png", MEDIA_TYPE_BY_NAME["image/png"], len(CONTENT), sha256=hashlib.sha256(CONTENT).digest()
)
"""The declared file of a probe."""

FILE_IN_PARTS: Final = FileSpec(FILE.filename, FILE.media_type, FILE.size)
"""The same for an upload in parts, which has no checksum of the whole."""


@dataclass(slots=True)
class ProbeNames:
    """The names of the probes of one examination."""

    run: str = field(default_factory=lambda: secrets.token_hex(_RUN_DIGITS // 2))
    _count: int = 0

    def uuid(self) -> str:
        """Return a new UUID."""
        self._count += 1
        return f"{PROBE_UUID}{self.run}{self._count:04x}"

    def staged(self, bucket: str) -> ObjectRef:
        """Return a new staged object."""
        return ObjectRef(bucket, staging_key(self.uuid(), FILE.media_type.extension))

    def ready(self, bucket: str) -> ObjectRef:
        """Return a new ready object."""
        return ObjectRef(bucket, ready_key(self.uuid(), FILE.media_type.extension))


class ProbePlace(NamedTuple):
    """A bucket and a prefix below which an examination makes objects, and what reads and deletes there."""

    wire: Wire
    store: ObjectStore
    bucket: str
    prefix: str


def prefixes() -> tuple[str, str]:
    """Return the prefixes of the staged and of the ready probes."""
    return STAGING_PREFIX + PROBE_UUID, READY_PREFIX + PROBE_UUID


def run_of(key: str) -> str:
    """Return the examination to which the key of a probe belongs."""
    return key.partition(PROBE_UUID)[2][:_RUN_DIGITS]


def abandoned(before: Iterable[str], after: Iterable[str], own: str) -> set[str]:
    """Return the runs whose probes were there before and after this examination, and did not change.

    A run in progress makes and removes probes all the time, so its probes are kept.
    """
    first, last = _by_run(before), _by_run(after)
    return {run for run, keys in last.items() if run != own and keys == first.get(run)}


async def list_probes(place: ProbePlace) -> list[str]:
    """Return the keys of all probes at a place; raise ``NoResponseError`` if the store does not list them."""
    query = {"list-type": "2", "prefix": place.prefix, "max-keys": str(PROBES_MAX)}
    response = await place.wire.call("ListObjectsV2", "GET", ObjectRef(place.bucket, ""), query=query)
    root = root_of(response)
    if response.status != 200 or root is None:
        raise NoResponseError(f"ListObjectsV2 returned {response.status}")
    keys = [found.findtext("{*}Key", "") for found in root.iterfind("{*}Contents")]
    return [key for key in keys if key.startswith(place.prefix)]


async def remove(place: ProbePlace, keys: Sequence[str]) -> None:
    """Delete probes; raise ``StorageUnavailableError``."""
    for key in keys:
        await place.store.delete(ObjectRef(place.bucket, key))


async def abort_multiparts(place: ProbePlace, run: str) -> None:
    """Abort the multipart uploads of a run. A store that cannot list them removes them by its lifecycle rule."""
    try:
        found = await place.store.open_multiparts(place.bucket, place.prefix)
    except StorageUnavailableError:
        return
    for upload in found:
        if run_of(upload.key) == run:
            await place.store.abort_multipart(ObjectRef(place.bucket, upload.key), upload.s3_upload_id)


def _by_run(keys: Iterable[str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for key in keys:
        found.setdefault(run_of(key), set()).add(key)
    return found
