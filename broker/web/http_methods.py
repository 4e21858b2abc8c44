"""The methods of requests that measurements name."""

from typing import Final

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})
"""The methods of RFC 9110, section 9, and RFC 5789. A client can make up others, so their names are not labels."""
