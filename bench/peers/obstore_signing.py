"""obstore's signer (Rust): CPU µs of one PUT URL. Each number on standard input starts one run of so many URLs.

It signs the host alone; the broker also signs type, length, condition and checksum. Each URL has a new key. It runs
in the environment of the peers: ``python obstore_signing.py``.
"""

import os
import sys
import time
import uuid
from datetime import timedelta

import obstore
from obstore.store import S3Store

store = S3Store(
    os.environ["R2_BUCKET_NAME"],
    endpoint=os.environ["R2_ENDPOINT"],
    access_key_id=os.environ["R2_ACCESS_KEY_ID"],
    secret_access_key=os.environ["R2_SECRET_ACCESS_KEY"],
    region="auto",
    virtual_hosted_style_request=False,
)
expires_in = timedelta(seconds=900)

for line in sys.stdin:
    keys = [f"incoming/{uuid.uuid4()}.mp3" for _ in range(int(line))]
    start = time.process_time_ns()
    for key in keys:
        obstore.sign(store, "PUT", key, expires_in)
    print((time.process_time_ns() - start) / len(keys) / 1_000, flush=True)
