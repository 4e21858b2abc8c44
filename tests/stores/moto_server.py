"""moto: S3 in this process. It verifies no signature, so no test of security may use it."""

from collections.abc import Iterator
from contextlib import contextmanager

import boto3
from moto.server import ThreadedMotoServer

from .place import BUCKET, CREDENTIALS, Place


@contextmanager
def running() -> Iterator[Place]:
    """Start a server with an empty bucket."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",  # in any other, moto wants the bucket's region said twice
        aws_access_key_id=CREDENTIALS.access_key_id,
        aws_secret_access_key=CREDENTIALS.secret_access_key,
    ).create_bucket(Bucket=BUCKET)
    try:
        yield Place("moto", endpoint)
    finally:
        server.stop()
