"""Each secret is replaced as docs/runbook.md says, under a load of uploads, and no upload fails."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from broker.cli.seaweedfs import SeaweedFS
from broker.crypto.sigv4 import Credentials
from broker.store import admin
from tests.auth.minting import PrivateKey, document, jwk
from tests.e2e.processes import JWT_SECRET, Broker
from tests.e2e.steps import confirm, create, fetch, mp3, put, ready
from tests.http_server import GetHandler, serving, url_of
from tests.patience import A_DAY

from .rotation import renew, uploading, write

pytestmark = pytest.mark.operations

OLD = "the old secret of a deployment that rotates"
NEW = "the new secret of a deployment that rotates"
READY, STAGING = "ready-bucket", "staging-bucket"


class Store(SeaweedFS):
    """A store with several access keys; ``keys`` has their secrets by their ids."""

    def __init__(self, folder: Path) -> None:
        self.keys = {"AKREADYOLD": "ready-old-secret", "AKSTAGINGOLD": "staging-old-secret"}
        super().__init__(folder, *next(iter(self.keys.items())))

    def _identity(self) -> bytes:
        keys = [{"accessKey": name, "secretKey": secret} for name, secret in self.keys.items()]
        actions = ["Admin", "Read", "Write", "List", "Tagging"]
        return json.dumps({"identities": [{"name": "broker", "credentials": keys, "actions": actions}]}).encode()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Start a store with an old and a new key for each bucket."""
    server = Store(tmp_path_factory.mktemp("rotation"))
    server.keys |= {"AKREADYNEW": "ready-new-secret", "AKSTAGINGNEW": "staging-new-secret"}
    with server:
        client = admin.connect(server.endpoint, Credentials("AKREADYOLD", "ready-old-secret"))
        for bucket in (READY, STAGING):
            admin.ensure_bucket(client, bucket)
        yield server


@pytest.fixture
def environment(store: Store) -> dict[str, str]:
    """Return the settings of a broker with the new keys of the store."""
    return {
        "R2_ENDPOINT": store.endpoint,
        "R2_BUCKET_NAME": READY,
        "R2_STAGING_BUCKET_NAME": STAGING,
        **keys("NEW"),
        "BROKER_SECRET": OLD,
        "BROKER_RATE_LIMIT": "0",
    }


def keys(age: str) -> dict[str, str]:
    """Return the settings with the ``OLD`` or the ``NEW`` keys of the store."""
    return {
        "R2_ACCESS_KEY_ID": f"AKREADY{age}",
        "R2_SECRET_ACCESS_KEY": f"ready-{age.lower()}-secret",
        "R2_STAGING_ACCESS_KEY_ID": f"AKSTAGING{age}",
        "R2_STAGING_SECRET_ACCESS_KEY": f"staging-{age.lower()}-secret",
    }


def test_broker_secret_rotates_without_a_failure(tmp_path: Path, environment: dict[str, str]) -> None:
    """BROKER_SECRET rotates by old,new, then new,old, then new, and every upload and receipt stays valid."""
    secret = tmp_path / "broker-secret"
    write(secret, OLD)
    settings = {**environment, "BROKER_SECRET": "", "BROKER_SECRET_FILE": str(secret)}
    receipts: list[str] = []
    with Broker(tmp_path, settings, "--workers", "2") as broker, uploading(lambda: [broker]) as load:
        for value in (f"{OLD},{NEW}", f"{NEW},{OLD}", NEW):
            load.advance(1)
            with broker.client() as client:
                receipts.append(ready(client, mp3())["receipt"])
                verify(client, receipts)
            write(secret, value)
            renew(broker)
        load.advance(1)
        assert load.failures == []
        with broker.client() as client:
            verify(client, [receipts[-1], ready(client, mp3())["receipt"]])


def verify(client: Any, receipts: list[str]) -> None:
    """Verify receipts by the published keys."""
    published = jwt.PyJWKSet.from_dict(client.get("/../../.well-known/jwks.json").json())
    for receipt in receipts:
        key = published[jwt.get_unverified_header(receipt)["kid"]]
        assert jwt.decode(receipt, key, algorithms=["EdDSA"])["key"].startswith("media/")


def test_new_secret_alone_ends_open_uploads(tmp_path: Path, environment: dict[str, str]) -> None:
    """After a leak, a broker with the new secret alone refuses upload ids and sessions of the old one."""
    with Broker(tmp_path, environment) as before, before.client() as client:
        upload = create(client, mp3())
        session = client.post("/sessions").json()["endpoint"]
        assert put(upload, mp3()).status_code == 200
    with Broker(tmp_path, {**environment, "BROKER_SECRET": NEW}) as after, after.client() as client:
        assert confirm(client, upload).status_code == 404
        path = session.removeprefix(before.url)
        opened = client.post(f"{after.url}{path}/s3/multipart", json={"filename": "a.mp3", "type": "audio/mpeg"})
        assert opened.status_code == 404


@contextmanager
def started(folder: Path, environment: dict[str, str]) -> Iterator[list[Broker]]:
    """Start two replicas, and stop those that the list has at the end."""
    replicas: list[Broker] = []
    try:
        replicas.extend(Broker(folder, environment).__enter__() for _ in range(2))
        yield replicas
    finally:
        for replica in replicas:
            replica.__exit__(None, None, None)


def test_store_keys_rotate_without_a_failure(tmp_path: Path, environment: dict[str, str], store: Store) -> None:
    """Both R2 keys rotate replica by replica, and old URLs work until the old keys are deleted."""
    with started(tmp_path, {**environment, **keys("OLD")}) as replicas:
        with uploading(lambda: list(replicas)) as load:
            with replicas[0].client() as client:
                waiting, late = create(client, mp3()), create(client, mp3())
                link = client.get(f"/downloads/{ready(client, mp3())['key']}").json()["url"]
            for index, stopping in enumerate([*replicas]):
                load.advance(1)
                replicas[index] = Broker(tmp_path, environment).__enter__()
                stopping.__exit__(None, None, None)
            load.advance(1)
            assert load.failures == []
        assert put(waiting, mp3()).status_code == 200
        assert fetch(link).status_code == 200
        store.stop()
        store.keys = {name: secret for name, secret in store.keys.items() if not name.endswith("OLD")}
        store.start()
        assert (put(late, mp3()).status_code, fetch(link).status_code) == (403, 403)
        with replicas[0].client() as client:
            assert confirm(client, waiting).status_code == 200
            assert ready(client, mp3())["status"] == "ready"


def test_token_secret_rotates_without_a_failure(tmp_path: Path, environment: dict[str, str]) -> None:
    """With JWT_SECRET_PREVIOUS the tokens of both secrets are accepted."""
    present, previous = tmp_path / "jwt-secret", tmp_path / "jwt-secret-previous"
    write(present, JWT_SECRET)
    write(previous, JWT_SECRET)
    files = {"JWT_SECRET_FILE": str(present), "JWT_SECRET_PREVIOUS_FILE": str(previous)}
    with Broker(tmp_path, {**environment, **files}, "--workers", "2") as broker, uploading(lambda: [broker]) as load:
        load.advance(1)
        write(present, NEW)
        renew(broker)
        load.advance(1)
        assert load.failures == []
        with broker.client() as client:
            upload = create(client, mp3())
            later = jwt.encode({"sub": "user-1", "exp": int(time.time()) + A_DAY}, NEW, algorithm="HS256")
            assert put(upload, mp3()).status_code == 200
            client.headers["Authorization"] = f"Bearer {later}"
            assert confirm(client, upload).status_code == 200


def test_tokens_of_the_old_secret_end(tmp_path: Path, environment: dict[str, str]) -> None:
    """A new JWT_SECRET refuses old tokens at once; an upload continues with a new token of the same user."""
    secret = tmp_path / "jwt-secret"
    write(secret, JWT_SECRET)
    settings = {**environment, "JWT_SECRET_FILE": str(secret)}
    with Broker(tmp_path, settings, "--workers", "2") as broker, broker.client() as client:
        upload = create(client, mp3())
        write(secret, NEW)
        renew(broker)
        assert put(upload, mp3()).status_code == 200
        assert confirm(client, upload).status_code == 401
        later = jwt.encode({"sub": "user-1", "exp": int(time.time()) + A_DAY}, NEW, algorithm="HS256")
        client.headers["Authorization"] = f"Bearer {later}"
        assert confirm(client, upload).status_code == 200


@contextmanager
def publishing(keys: dict[str, PrivateKey]) -> Iterator[str]:
    """Serve the JWK Set of the ``keys``, which may change meanwhile; yield its URL."""

    class Handler(GetHandler):
        def get(self) -> None:
            self.respond(200, document(*(jwk(key, kid) for kid, key in keys.items())), "application/json")

    with serving(Handler) as server:
        yield url_of(server)


def signed_by(key: PrivateKey, kid: str) -> dict[str, str]:
    """Return the header fields with a token of this key."""
    claims = {"sub": "user-1", "exp": int(time.time()) + A_DAY}
    return {"Authorization": f"Bearer {jwt.encode(claims, key, algorithm='ES256', headers={'kid': kid})}"}


def test_published_keys_rotate_without_a_failure(tmp_path: Path, environment: dict[str, str]) -> None:
    """A second published key is used at once; a removed key is refused after a renewal of the workers."""
    first, second = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    published: dict[str, PrivateKey] = {"one": first}
    with (
        publishing(published) as url,
        Broker(tmp_path, {**environment, "JWT_JWKS_URL": url}, "--workers", "2") as broker,
        broker.client() as client,
    ):
        old, new = signed_by(first, "one"), signed_by(second, "two")
        upload = create(client, mp3(), headers=old)
        published["two"] = second
        for _ in range(6):  # at both workers
            assert create(client, mp3(), headers=new)["method"] == "PUT"
            assert create(client, mp3(), headers=old)["method"] == "PUT"
        assert put(upload, mp3()).status_code == 200
        del published["one"]
        renew(broker)
        path = f"/uploads/{upload['uploadId']}/confirm"
        assert client.post(path, headers=old).status_code == 401
        assert client.post(path, headers=new).status_code == 200
