"""Presigned requests for the objects of one bucket: what ``Presigner.presign`` gives, by templates in half of its time.

A template looks at nothing and encodes nothing. So keys and headers' values must be of our own making: of letters,
digits and what else a URL and a header field take as it is. Those of an upload are: a UUID, a media type of the list,
base64, a length. What is in a query is not, and is left to the presigner.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Final

from broker.core.model import ObjectRef

from .sigv4 import EMPTY, Presigner, Template

_TEMPLATES_MAX: Final = 64


class ObjectSigner:
    """Signs one method. The templates of the last signing time are kept."""

    def __init__(self, presigner: Presigner, method: str, bucket: str) -> None:
        self._presigner = presigner
        self._method = method
        self._bucket = bucket
        self._now = 0
        self._templates: dict[tuple[int, tuple[str, ...]], Template] = {}

    def presign(
        self,
        key: str,
        *,
        now: int,
        expires_in: int,
        headers: Mapping[str, str] = EMPTY,
        query: Mapping[str, str] = EMPTY,
    ) -> str:
        """The URL by which one may send the method to ``key`` with these headers, which are sorted by name."""
        if query:
            ref = ObjectRef(self._bucket, key)
            return self._presigner.presign(
                self._method, ref, now=now, expires_in=expires_in, headers=headers, query=query
            )
        if now != self._now:
            self._now, self._templates = now, {}
        names = tuple(headers)
        template = self._templates.get((expires_in, names)) or self._template(expires_in, names)
        sign, to_sign, around, start, end = template
        request = [key] * (2 * len(around) - 1)
        request[::2], request[3::2] = around, headers.values()
        digest = sha256("".join(request).encode()).hexdigest()
        return f"{start}{key}{end}{sign(to_sign + digest)}"

    def _template(self, expires_in: int, names: tuple[str, ...]) -> Template:
        if sorted(names, key=str.lower) != [*names]:
            raise ValueError("the headers must be sorted by name")
        if len(self._templates) >= _TEMPLATES_MAX:
            self._templates.clear()
        template = self._presigner.template(self._method, self._bucket, names, now=self._now, expires_in=expires_in)
        self._templates[expires_in, names] = template
        return template
