"""``broker demo``: the broker, an S3 server and a page to try, on this machine and without any setup."""

import secrets
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from string import Template
from types import FrameType
from typing import Final, NoReturn

from broker import settings
from broker.core.object_keys import STAGING_PREFIX
from broker.core.upload_rules import UploadPolicy
from broker.crypto.sigv4 import Credentials
from broker.server import file_descriptors
from broker.server.exits import Exit, StartError
from broker.server.listeners import listen
from broker.server.log_handler import configure_logging
from broker.server.startup import finish_start
from broker.server.uvicorn_server import Server, check_uvicorn_version
from broker.service.assembly import assemble
from broker.settings import Settings, TokenRules
from broker.store import admin
from broker.web.app import create_app
from broker.web.demo_page import page_routes

from .seaweedfs import DataFolderError, SeaweedFS, SeaweedFSError
from .token import mint

BUCKET: Final = "demo-media"
"""The bucket of the demo's store."""

WELCOME: Final = Path(__file__).with_name("welcome.txt")
"""The template of the text that is printed when the broker is ready."""


def run(port: int, data: Path | None) -> int:
    """Run the demo until SIGINT or SIGTERM; return the exit status. Raises ``StartError``.

    ``data`` is the folder of the store's data; without it, a temporary folder is used and removed.
    """
    check_uvicorn_version()
    (listener,) = listen("127.0.0.1", port)
    port = listener.getsockname()[1]
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    status = Exit.STOPPED
    try:
        with (
            suppress(KeyboardInterrupt),
            listener,
            _data_folder(data) as folder,
            _store(Path(folder), port) as store,
        ):
            status = _serve(store, listener)
    except DataFolderError as error:
        raise StartError(str(error)) from None
    except SeaweedFSError as error:
        print(f"broker: {error}", file=sys.stderr)
        return Exit.CANNOT_SERVE
    print("broker: the demo and its store have stopped.")
    return status


def _serve(store: SeaweedFS, listener: socket.socket) -> Exit:
    parsed = _settings(store)
    app = create_app(assemble(parsed), extra_routes=page_routes(store.endpoint))
    welcome = _welcome(listener.getsockname()[1], store.endpoint, parsed.tokens)
    finish_start()
    file_descriptors.raise_limit()
    configure_logging()
    return Server(lambda: app, lambda: print(welcome, flush=True)).serve_until_stopped([listener])


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    """End the demo at SIGINT or SIGTERM: the store is stopped, and its temporary folder is removed.

    SIGINT needs this handler too: a shell without job control starts ``broker demo &`` with SIGINT ignored (POSIX,
    Signals and Error Handling), and then Python installs no handler of its own. Uvicorn has its own while it runs.
    """
    raise KeyboardInterrupt


def _data_folder(given: Path | None) -> AbstractContextManager[str]:
    if given:
        return nullcontext(str(given))
    try:
        return tempfile.TemporaryDirectory(prefix="broker-demo-", ignore_cleanup_errors=True)
    except OSError as error:
        text = f"there is no usable temporary folder: {error.strerror}. Set TMPDIR to a writable one, or use --data."
        raise StartError(text) from None


@contextmanager
def _store(folder: Path, port: int) -> Iterator[SeaweedFS]:
    credentials = Credentials(secrets.token_hex(8), secrets.token_hex(32))
    print("Starting the store (SeaweedFS) ...", flush=True)
    with SeaweedFS(folder, credentials.access_key_id, credentials.secret_access_key) as store:
        client = admin.connect(store.endpoint, credentials)
        admin.ensure_bucket(client, BUCKET)
        admin.put_cors(client, BUCKET, [f"http://127.0.0.1:{port}", f"http://localhost:{port}"])
        admin.put_lifecycle(client, BUCKET, STAGING_PREFIX, UploadPolicy().retention_days)
        yield store


def _settings(store: SeaweedFS) -> Settings:
    return settings.parse(
        {
            "R2_ENDPOINT": store.endpoint,
            "R2_ACCESS_KEY_ID": store.access_key_id,
            "R2_SECRET_ACCESS_KEY": store.secret_access_key,
            "R2_BUCKET_NAME": BUCKET,
            "JWT_SECRET": secrets.token_hex(32),
            "BROKER_SECRET": secrets.token_hex(32),
        }
    )


def _welcome(port: int, endpoint: str, rules: TokenRules) -> str:
    return Template(WELCOME.read_text(encoding="utf-8")).substitute(
        broker=f"http://127.0.0.1:{port}",
        store=endpoint,
        token=mint(rules, "demo-user"),
        service_token=mint(rules, "backend", is_service=True),
    )
