"""``python -m tests.stores.patched_broker NAME serve``: run the broker for a store that no endpoint describes.

Cloudflare's local R2 has a path before its buckets, and MiniStack signs with a region.
"""

import runpy
import sys
from dataclasses import replace
from functools import partial

from broker.crypto.presigner import Presigner
from broker.store import dialect

from .local_r2 import MOUNT
from .place import AMAZON, MountedPresigner

DIALECTS = {
    "ministack": replace(AMAZON, addressing=dialect.Addressing.PATH),
    "local_r2": dialect.UNKNOWN,
    "moto": dialect.UNKNOWN,
}

PRESIGNERS = {"local_r2": partial(MountedPresigner, mount=MOUNT)}


def main() -> None:
    """Run the broker with the dialect of the store."""
    name = sys.argv.pop(1)
    dialect.UNKNOWN = DIALECTS[name]  # type: ignore[misc]  # in this process alone
    dialect._PRESIGNERS[dialect.Addressing.PATH] = PRESIGNERS.get(name, Presigner)  # type: ignore[assignment]  # the same
    runpy.run_module("broker", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
