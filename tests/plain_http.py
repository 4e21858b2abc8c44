"""HTTP without TLS, for servers of the tests."""

import ssl
from typing import Final

NO_TLS: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""A context without certificates. For each client httpx2 otherwise loads them all, which takes 30 ms of CPU time."""
