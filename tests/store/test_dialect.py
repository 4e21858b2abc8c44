"""The differences between stores, found by endpoint."""

from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from unittest import mock

import pytest

from broker import settings
from broker.core.model import Principal
from broker.service.assembly import assemble
from broker.service.downloads import LinkOptions
from broker.store.dialect import DIALECTS, UNKNOWN, Dialect, dialect_of
from broker.store.s3 import S3ObjectStore
from tests.web.application import ENVIRONMENT, KEY

from .calls import VERBS, store_at
from .wire import Wire, says, wire

ACCOUNT = "0123456789abcdef0123456789abcdef"
R2 = f"https://{ACCOUNT}.r2.cloudflarestorage.com"
AWS = "https://s3.eu-central-1.amazonaws.com"

EXAMPLES = {"Cloudflare R2": R2, "Amazon S3": AWS}
"""An endpoint of each entry of ``DIALECTS``, by its name."""

PRESIGNERS = 4
"""The presigners of a deployment: of ready and staged objects, for the broker and for its clients."""


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: str(dialect.name))
def test_every_dialect_has_an_example(dialect: Dialect) -> None:
    """Each entry of ``DIALECTS`` has an example endpoint, for which it is found."""
    assert dialect.name in EXAMPLES, f"add an endpoint of {dialect.name} to EXAMPLES"
    assert dialect_of(EXAMPLES[dialect.name]).name == dialect.name


@pytest.mark.parametrize(
    ("endpoint", "checks"),
    [
        (R2, True),
        (f"https://{ACCOUNT}.eu.r2.cloudflarestorage.com", True),
        (AWS, True),
        ("https://s3.amazonaws.com", True),
        (f"http://{ACCOUNT}.r2.cloudflarestorage.com", False),
        ("https://r2.cloudflarestorage.com.evil.example", False),
        ("https://s3.example.com", False),
        ("http://127.0.0.1:8333", False),
    ],
)
def test_only_known_stores_check_uploads(endpoint: str, checks: bool) -> None:
    """A PUT is evidence of a checksum only at a store that is known to check it."""
    assert dialect_of(endpoint).checks_uploads is checks


@pytest.mark.parametrize(
    ("endpoint", "region"),
    [
        (R2, "auto"),
        (f"https://{ACCOUNT}.eu.r2.cloudflarestorage.com", "auto"),
        ("https://s3.amazonaws.com", "us-east-1"),
        (AWS, "eu-central-1"),
        ("https://s3-eu-west-1.amazonaws.com", "eu-west-1"),
        ("https://s3.dualstack.ap-southeast-2.amazonaws.com", "ap-southeast-2"),
        ("https://s3-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ("https://s3-fips.dualstack.us-east-2.amazonaws.com", "us-east-2"),
        ("https://s3.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("https://s3.eu-central-1.amazonaws.com.evil.example", "auto"),
        ("http://127.0.0.1:8333", "auto"),
    ],
)
def test_the_endpoint_decides_the_region(endpoint: str, region: str) -> None:
    """The region to sign with is the one in the endpoint, or that of the kind of store."""
    assert dialect_of(endpoint).region == region


@pytest.mark.parametrize(
    ("endpoint", "is_warned"),
    [
        *((endpoint, False) for endpoint in EXAMPLES.values()),
        (f"https://{ACCOUNT}.eu.r2.cloudflarestorage.com", False),
        ("http://127.0.0.1:8333", False),
        ("http://localhost:8333", False),
        ("https://media.example.com", True),
        ("http://store:8333", True),
        ("https://s3.eu-central-1.amazonaws.com.evil.example", True),
    ],
)
def test_an_unknown_store_is_a_warning(endpoint: str, is_warned: bool) -> None:
    """The endpoint of an unknown store may be a custom domain, which is a warning at start; others are not."""
    deployment = assemble(settings.parse({**ENVIRONMENT, "R2_ENDPOINT": endpoint}))
    found = [line for line in deployment.settings.warnings if "custom domain" in line]
    assert len(found) == is_warned


@pytest.mark.parametrize(
    ("endpoint", "region", "base"),
    [
        (R2, "auto", f"{R2}/songs"),
        (AWS, "eu-central-1", "https://songs.s3.eu-central-1.amazonaws.com"),
        ("https://s3.amazonaws.com", "us-east-1", "https://songs.s3.amazonaws.com"),
    ],
)
async def test_a_deployment_signs_for_its_store(endpoint: str, region: str, base: str) -> None:
    """All presigners of a deployment, for clients and for the broker itself, have the region and style of the store."""
    with mock.patch.object(Dialect, "presigner", autospec=True, side_effect=Dialect.presigner) as presigner:
        deployment = assemble(settings.parse({**ENVIRONMENT, "R2_ENDPOINT": endpoint}))
    assert {made.args[0].region for made in presigner.call_args_list} == {region}
    assert len(presigner.call_args_list) == PRESIGNERS
    assert deployment.services
    link = await deployment.services.downloads.link(Principal("backend", is_service=True), KEY, LinkOptions())
    assert link.url.startswith(f"{base}/{KEY}?")
    assert deployment.services.objects.key_in(link.url) == KEY
    assert f"%2F{region}%2Fs3%2Faws4_request" in link.url
    for store in deployment.stores:
        await store.close()


@pytest.mark.parametrize(
    ("dialect", "condition"),
    [
        pytest.param(dialect_of(R2), "cf-copy-destination-if-none-match: *", id="R2"),
        pytest.param(dialect_of(AWS), "if-none-match: *", id="Amazon S3"),
        pytest.param(UNKNOWN, "cf-copy-destination-if-none-match: *", id="unknown"),
    ],
)
async def test_a_copy_never_replaces_its_target(dialect: Dialect, condition: str) -> None:
    """CopyObject has the create-only condition of the store, and no other."""
    async with wire(says(VERBS["copy"].good)) as server, at(server, dialect) as store:
        await VERBS["copy"].call(store)
    conditions = [line for line in server.requests[0].split("\r\n")[1:] if "none-match" in line.partition(":")[0]]
    assert conditions == [condition]


@pytest.mark.parametrize("checks", [True, False])
async def test_the_dialect_decides_part_conditions(checks: bool) -> None:
    """UploadPartCopy has a condition on its source unless the store is known to refuse it."""
    dialect = replace(UNKNOWN, checks_part_source=checks)
    async with wire(says(VERBS["copy_part"].good)) as server, at(server, dialect) as store:
        assert await VERBS["copy_part"].call(store) is True
    assert ["x-amz-copy-source-if-match" in request for request in server.requests] == [checks]


def at(server: Wire, dialect: Dialect) -> AbstractAsyncContextManager[S3ObjectStore]:
    """Return a store with this dialect at the test's server."""
    return store_at(f"http://127.0.0.1:{server.port}", dialect=dialect)
