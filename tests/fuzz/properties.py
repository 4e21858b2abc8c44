"""The properties of a running broker: each is a strategy, and a check of its examples."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import hypothesis
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st

from . import hostile
from .bursts import bursts
from .known import Known, principals
from .parsers.body import FILE
from .parsers.disposition import HEADER, KINDS
from .verdict import Verdict
from .wire import Response, Sent, Wire

PUBLIC = ("/healthz", "/readyz", "/openapi.yaml", "/.well-known/jwks.json", "/api/v1/uploads/status", "/static/")


@dataclass(frozen=True, slots=True)
class Target:
    """A broker to fuzz."""

    wire: Wire
    verdict: Verdict
    known: Known
    principals: tuple[str, ...] = field(default_factory=principals)

    def checked(self, sent: Sent) -> Response:
        """Send a request, check its response, and return it."""
        hypothesis.note(repr(sent)[:2000])
        response = self.wire.send(sent)
        self.verdict.check(sent, response)
        return response

    def as_all(self, sent: Sent) -> None:
        """Send the request as each principal."""
        for good in self.principals:
            self.checked(sent.with_fields(("Authorization", good)))


Property = tuple[st.SearchStrategy[Any], Callable[[Any], None]]


def invalid_tokens(target: Target) -> Property:
    """Check that invalid tokens reveal only which resources and methods exist."""

    def check(drawn: tuple[Sent, tuple[str, ...]]) -> None:
        sent, wrong = drawn
        response = target.checked(sent.with_fields(*(("Authorization", value) for value in wrong)))
        if not unquote(sent.target).startswith(PUBLIC):
            assert response.status in (400, 401, 404, 405, 411, 414, 431), response

    asked = requests(target.known) | hostile.posts(target.known)
    return st.tuples(asked, hostile.wrong_fields()), check


def paths(target: Target) -> Property:
    """Send any method with any path and query."""
    return requests(target.known), target.as_all


def reads(target: Target) -> Property:
    """Read existing resources with hostile queries; a link must be to the requested key."""

    def check(sent: Sent) -> None:
        for good in target.principals:
            response = target.checked(sent.with_fields(("Authorization", good)))
            if (sent.method, response.status) == ("GET", 200) and sent.target.startswith("/api/v1/downloads/"):
                check_link(sent, json.loads(response.body))

    methods = st.sampled_from(["GET", "GET", "HEAD"])
    return st.builds(Sent, methods, hostile.reads(target.known), st.just(()), st.none()), check


def check_link(sent: Sent, link: dict[str, Any]) -> None:
    """Check that the URL is for the key in the path, and signs only a valid disposition."""
    url = urlsplit(link["url"])
    assert link["key"] == sent.target.partition("?")[0].removeprefix("/api/v1/downloads/")
    assert url.path.endswith(f"/{link['key']}")
    disposition = dict(parse_qsl(url.query)).get("response-content-disposition", "inline")
    assert disposition in KINDS or HEADER.fullmatch(disposition), disposition


def bodies(target: Target) -> Property:
    """Send any body to the routes that read one."""
    return hostile.posts(target.known), target.as_all


def creates(target: Target) -> Property:
    """Send a valid create with any header fields."""

    def check(drawn: tuple[tuple[tuple[str, str], ...], int]) -> None:
        fields, chunk = drawn
        kind = [] if "Content-Type" in dict(fields) else [("Content-Type", "application/json")]
        target.as_all(Sent("POST", "/api/v1/uploads", (*kind, *fields), GOOD, chunk))

    return st.tuples(hostile.fields(), hostile.chunks), check


def raw(target: Target) -> Property:
    """Send bytes that may not be a request."""

    def check(burst: bytes) -> None:
        hypothesis.note(repr(burst)[:2000])
        for response in target.wire.send_raw(burst):
            target.verdict.check_raw(response)

    return bursts(), check


GOOD = json.dumps(FILE).encode()
PROPERTIES: Mapping[str, Callable[[Target], Property]] = {
    "invalid_tokens": invalid_tokens,
    "paths": paths,
    "reads": reads,
    "bodies": bodies,
    "creates": creates,
    "raw": raw,
}


def requests(known: Known) -> st.SearchStrategy[Sent]:
    """Draw requests without a body, or with one where none is expected."""
    some_body = st.none() | st.none() | st.sampled_from([b"", b"{}", b"\xff" * 99])
    return st.builds(Sent, hostile.methods, hostile.targets(known), hostile.fields(), some_body)


def run(name: str, target: Target, examples: int, seed: int | None = None) -> None:
    """Run one property; raise the error of its first failing example, after shrinking it."""
    strategy, check = PROPERTIES[name](target)

    @hypothesis.settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    @hypothesis.given(strategy)
    def try_one(example: Any) -> None:
        check(example)

    (try_one if seed is None else hypothesis.seed(seed)(try_one))()
