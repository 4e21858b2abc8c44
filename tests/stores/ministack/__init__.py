"""MiniStack: a third store that verifies signatures, in pure Python.

It has an environment of its own, because it needs an older botocore than the broker's tests.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import boto3

from broker.store.dialect import Addressing
from tests.patience import until
from tests.ports import free_port
from tests.python_environments import install
from tests.stores.place import AMAZON, BUCKET, CREDENTIALS, Place, send

HERE = Path(__file__).parent
DIALECT = replace(AMAZON, addressing=Addressing.PATH)
"""MiniStack follows Amazon S3. It accepts only the region of the bucket, which CreateBucket names."""


@contextmanager
def running(folder: Path) -> Iterator[Place]:
    """Start a server with an empty bucket; it keeps its data in memory and its files in ``folder``."""
    port, log = free_port(), folder / "ministack.log"
    place = Place("ministack", f"http://127.0.0.1:{port}", dialect=DIALECT)
    with log.open("wb") as output:
        server = subprocess.Popen(
            [install(HERE) / "ministack"],
            cwd=folder,
            env=environment(folder, port),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        until(lambda: responds(place, server, log))
        create_bucket(place)
        yield place
    finally:
        server.terminate()
        try:
            server.wait(5)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def create_bucket(place: Place) -> None:
    """Create the bucket in its region, which the endpoint does not tell."""
    boto3.client(
        "s3",
        endpoint_url=place.endpoint,
        region_name=DIALECT.region,
        aws_access_key_id=CREDENTIALS.access_key_id,
        aws_secret_access_key=CREDENTIALS.secret_access_key,
    ).create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})


def environment(folder: Path, port: int) -> dict[str, str]:
    """Return the variables of the server."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "STATE_DIR": str(folder / "state"),
        "S3_DATA_DIR": str(folder / "s3"),
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "AUTH": "true",  # without it no signature is verified
        "AWS_ACCESS_KEY_ID": CREDENTIALS.access_key_id,
        "AWS_SECRET_ACCESS_KEY": CREDENTIALS.secret_access_key,
    }


def responds(place: Place, server: "subprocess.Popen[bytes]", log: Path) -> bool:
    """Return whether the server responds."""
    assert server.poll() is None, log.read_text()
    with suppress(OSError):
        return bool(send("GET", f"{place.endpoint}/{BUCKET}?").status)
    return False
