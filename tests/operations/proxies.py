"""nginx and Caddy with the configurations of ``deploy``, at ports of the tests and with a certificate of the tests."""

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.clients.proxies import accepts, start
from tests.patience import until
from tests.ports import free_ports
from tests.store.certificates import Authority

DEPLOY: Final = Path(__file__).parents[2] / "deploy"
FILES: Final[Mapping[str, Path]] = {"nginx": DEPLOY / "nginx" / "broker.conf", "caddy": DEPLOY / "caddy" / "Caddyfile"}
"""The configurations as they are shipped."""

_NGINX: Final = """
daemon off; {user} worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.error.log;
events {{ worker_connections 512; }}
http {{
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
{text}
}}
"""


@dataclass(frozen=True)
class Proxy:
    """A running proxy: its URL, its plain port and the folder of its logs."""

    name: str
    url: str
    folder: Path

    def logs(self) -> str:
        """Return everything that the proxy wrote into its logs."""
        return "".join(path.read_text() for path in sorted(self.folder.glob("*.log")))


@contextlib.contextmanager
def running(name: str, upstream: str, folder: Path, authority: Authority, keep: str = "60s") -> Iterator[Proxy]:
    """Start a proxy to ``upstream``, a host and port or ``unix:`` and a path, which keeps idle connections ``keep``."""
    folder.mkdir()
    port = free_ports(2)
    authority.server()
    certificate = authority.folder / "server.pem"
    adapt = nginx if name == "nginx" else caddy
    text = adapt(FILES[name].read_text(encoding="utf-8"), upstream, folder, certificate, port)
    assert text.count("60s") == 1
    with contextlib.ExitStack() as stack:
        start(stack, name, text.replace("60s", keep), folder)
        until(lambda: accepts(port))
        yield Proxy(name, f"https://127.0.0.1:{port}", folder)


def nginx(text: str, upstream: str, folder: Path, certificate: Path, port: int) -> str:
    """Return a whole configuration of nginx, with the shipped file in its ``http`` block."""
    changed = _replaced(
        text,
        {
            r"server 127\.0\.0\.1:8000;": f"server {upstream};",
            r"listen 80;": f"listen 127.0.0.1:{port + 1};",
            r"listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
            r"/etc/letsencrypt/live/broker\.example/\w+\.pem": str(certificate),
            r"/var/log/nginx": str(folder),
            r"\n    listen \[::\]:.*": "",
        },
    )
    user = "user root;" if os.geteuid() == 0 else ""  # the folders of the tests are private
    return _NGINX.format(user=user, folder=folder, text=changed)


def caddy(text: str, upstream: str, folder: Path, certificate: Path, port: int) -> str:
    """Return the shipped file with another address, and without the certificate authority of the Internet."""
    return _replaced(
        text,
        {
            r"reverse_proxy 127\.0\.0\.1:8000": f"reverse_proxy {upstream.replace('unix:', 'unix/')}",
            r"\{\n\t# One filter": "{\n\tadmin off\n\tauto_https disable_redirects\n\t# One filter",
            r"broker\.example \{": f"https://127.0.0.1:{port} {{\n\ttls {certificate} {certificate}",
        },
    )


def _replaced(text: str, changes: Mapping[str, str]) -> str:
    """Return a text in which each pattern was found and replaced."""
    for pattern, value in changes.items():
        text, count = re.subn(pattern, value.replace("\\", r"\\"), text)
        assert count, pattern
    return text
