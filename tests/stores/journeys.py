"""End-to-end uploads over a store: ``broker serve`` as a process, and a client that uses HTTP alone."""

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2

from broker.store.dialect import UNKNOWN
from tests.e2e.parts import CONTENT, create_multipart, part_of, put_part, send, signed, status_of
from tests.e2e.processes import Broker
from tests.e2e.steps import confirm, create, mp3, put, served, uploaded

from .place import Place
from .signed_puts import sha256

ROOT = Path(__file__).parents[2]

Journey = Callable[[httpx2.Client], bool]


def broker_at(place: Place, folder: Path) -> Broker:
    """Return a broker for the store, which has started when it is entered."""
    environment = {
        "R2_ENDPOINT": place.endpoint,
        "R2_ACCESS_KEY_ID": place.credentials.access_key_id,
        "R2_SECRET_ACCESS_KEY": place.credentials.secret_access_key,
        "R2_BUCKET_NAME": place.bucket,
        "BROKER_SECRET": "a secret of the tests for upload ids and receipts",
        "BROKER_RATE_LIMIT": "0",
        "PYTHONPATH": str(ROOT),
    }
    if not place.mount and place.dialect is UNKNOWN:
        return Broker(folder, environment)
    return Broker(folder, environment, command=(sys.executable, "-m", "tests.stores.patched_broker", place.name))


def is_served(client: httpx2.Client, confirmed: httpx2.Response, content: bytes) -> bool:
    """Return whether an upload is confirmed, and its link serves the bytes."""
    return confirmed.status_code == 200 and served(client, confirmed.json()["key"]) == content


def one_put(client: httpx2.Client) -> bool:
    return is_served(client, confirm(client, uploaded(client, mp3())), mp3())


def checksum(client: httpx2.Client) -> bool:
    track = confirm(client, uploaded(client, mp3(), sha256=sha256(mp3()))).json()
    return bool(track.get("sha256") == sha256(mp3()))


def in_parts(client: httpx2.Client) -> bool:
    upload = create_multipart(client)
    send(client, upload, 3, 1, 2)
    return is_served(client, confirm(client, upload), CONTENT)


def resumed(client: httpx2.Client) -> bool:
    upload = create_multipart(client)
    send(client, upload, 2)
    stored = client.get(f"/uploads/{upload['uploadId']}")
    if stored.status_code != 200:
        return False
    missing = {1, 2, 3} - {part["partNumber"] for part in status_of(client, upload)["parts"]}
    send(client, upload, *sorted(missing))
    return missing == {1, 3} and is_served(client, confirm(client, upload), CONTENT)


def refused(client: httpx2.Client) -> bool:
    upload = create(client, mp3())
    altered = [put(upload, mp3() + b"x"), put(upload, mp3(), **{"Content-Type": "text/html"})]
    not_uploaded = confirm(client, upload)
    is_refused = all(response.status_code == 403 for response in altered) and not_uploaded.status_code == 409
    return is_refused and put(upload, mp3()).status_code == 200 and confirm(client, upload).status_code == 200


def part_refused(client: httpx2.Client) -> bool:
    upload = create_multipart(client)
    (part,) = signed(client, upload, 1)
    return put_part(part, part_of(upload, 1)[:-1]).status_code == 403


def deleted(client: httpx2.Client) -> bool:
    upload = uploaded(client, mp3())
    key = confirm(client, upload).json()["key"]
    statuses = [client.delete(f"/objects/{key}").status_code, put(upload, mp3()).status_code]
    return [*statuses, confirm(client, upload).status_code] == [204, 412, 410]


def aborted(client: httpx2.Client) -> bool:
    upload = create_multipart(client)
    (part,) = signed(client, upload, 1)
    gone = client.delete(f"/uploads/{upload['uploadId']}").status_code
    return [gone, put_part(part, part_of(upload, 1)).status_code, confirm(client, upload).status_code] == [
        204,
        404,
        410,
    ]


def at_once(client: httpx2.Client) -> bool:
    upload = uploaded(client, mp3())
    with ThreadPoolExecutor(10) as pool:
        responses = list(pool.map(lambda _: confirm(client, upload), range(10)))
    return {response.status_code for response in responses} == {200} and len({r.text for r in responses}) == 1


def service_checks_bytes(client: httpx2.Client) -> bool:
    content = b"<html>" + mp3()
    return confirm(client, uploaded(client, content)).status_code == 422


JOURNEYS: dict[str, Journey] = {
    "an upload by one PUT is confirmed and served": one_put,
    "ten confirms at once return one result": at_once,
    "an upload with a SHA-256 has it in its result": checksum,
    "an upload in parts is confirmed and served": in_parts,
    "an upload in parts is resumed with its missing parts": resumed,
    "a changed PUT is refused, and the right one is confirmed": refused,
    "a part of another length is refused": part_refused,
    "bytes of another type are refused at confirm": service_checks_bytes,
    "a deleted object stays deleted": deleted,
    "an aborted upload in parts stays aborted": aborted,
}
"""Each returns whether it ended as it does on R2."""


def travelled(place: Place, folder: Path) -> dict[str, bool]:
    """Return the result of each journey."""
    found: dict[str, Any] = {}
    with broker_at(place, folder) as broker, broker.client() as client:
        for row, journey in JOURNEYS.items():
            found[row] = journey(client)
    return found
