"""Common HTTP clients, direct and through proxies, create and confirm a thousand uploads with pauses: none fails."""

import json
import shutil
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

import pytest

from tests.e2e.processes import Broker, token
from tests.e2e.stores import settings_of, store_with_bucket
from tests.npm import NODE

from . import curl_client, plan, proxies, python_clients

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]
HERE = Path(__file__).parent
Routes = Mapping[str, str]


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Start a store, a broker of two workers and the proxies; yield the ways to the broker."""
    folder = tmp_path_factory.mktemp("clients")
    with store_with_bucket(folder / "store", "AKCLIENTS", "a secret access key of the tests", "songs") as store:
        settings = {**settings_of(store, "songs"), "BROKER_RATE_LIMIT": "0"}
        with Broker(folder, settings, "--workers", "2") as broker, proxies.routes(broker.port, folder) as found:
            yield found


def httpx(routes: Routes, folder: Path) -> list[str]:
    """Run Python's httpx."""
    return plan.run(plan.sessions(routes), python_clients.by_httpx, python_clients.put)


def requests(routes: Routes, folder: Path) -> list[str]:
    """Run Python's requests."""
    return plan.run(plan.sessions(routes), python_clients.by_requests, python_clients.put_by_requests)


def dotnet(routes: Routes, folder: Path) -> list[str]:
    """Run chunked requests of .NET's shape."""
    return plan.run(plan.sessions(routes), python_clients.by_chunks, python_clients.put)


def curl(routes: Routes, folder: Path) -> list[str]:
    """Run ``curl --http2``."""
    sessions = plan.sessions(routes)
    with ThreadPoolExecutor(len(sessions)) as pool:
        return list(chain.from_iterable(pool.map(lambda each: curl_client.failures(each, folder), sessions)))


def node(routes: Routes, folder: Path) -> list[str]:
    """Run Node's fetch."""
    written = program([str(NODE), str(HERE / "fetch.mjs")], plan.plan(routes))
    found = [json.loads(line) for line in written]
    assert len(found) == plan.UPLOADS * len(routes), written[-3:]
    return [line for line, each in zip(written, found, strict=True) if each["failure"]]


def jdk(routes: Routes, folder: Path) -> list[str]:
    """Run Java's HttpClient, which needs no build."""
    java = shutil.which("java")
    assert java, "apt-get install default-jdk-headless"
    lines = [token(), json.dumps(plan.declaration()), plan.CONTENT.hex()]
    lines += [f"{s.route}\t{s.url}\t{int(s.pause * 1000)}\t{s.uploads}" for s in plan.sessions(routes)]
    written = program([java, "-Xmx256m", str(HERE / "JdkClient.java")], "\n".join(lines))
    assert len(written) == plan.UPLOADS * len(routes), written[-3:]
    return [line for line in written if line.rpartition("\t")[2]]


def program(command: list[str], stdin: str) -> list[str]:
    """Run a client program with its plan, and return the lines that it wrote."""
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=400)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()


CLIENTS: tuple[Callable[[Routes, Path], list[str]], ...] = (httpx, requests, dotnet, curl, node, jdk)


def test_no_upload_of_any_client_fails(routes: dict[str, str], tmp_path: Path) -> None:
    """A thousand uploads by six clients and five routes, with pauses of up to 65 seconds, all become ready."""
    assert len(CLIENTS) * len(routes) * plan.UPLOADS >= 1000
    failed: dict[str, list[str]] = {}

    def one(client: Callable[[Routes, Path], list[str]]) -> None:
        failed[client.__name__] = ["the client itself failed"]
        failed[client.__name__] = client(routes, tmp_path)

    threads = [threading.Thread(target=one, args=(client,)) for client in CLIENTS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(Counter({name: len(lines) for name, lines in failed.items()}))
    assert failed == {client.__name__: [] for client in CLIENTS}
