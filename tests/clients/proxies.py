"""nginx and caddy in front of a broker, each with connections to it that are kept and with new ones."""

import contextlib
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.patience import until
from tests.ports import free_ports

NAMES: Final = ("nginx", "caddy")
"""The programs, as Debian's packages have them."""

NGINX: Final = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr warn;
events {{ worker_connections 2048; }}
http {{
  access_log off; keepalive_timeout 75s; keepalive_requests 10000;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  upstream broker {{ server 127.0.0.1:{broker}; keepalive 64; }}
  server {{
    listen 127.0.0.1:{kept};
    location / {{
      proxy_pass http://broker; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_request_buffering off; proxy_next_upstream off;
    }}
  }}
  server {{ listen 127.0.0.1:{new}; location / {{ proxy_pass http://127.0.0.1:{broker}; proxy_next_upstream off; }} }}
}}
"""
"""The first server passes chunked bodies on as they are, the second buffers them, as is nginx's default."""

CADDY: Final = """
{{
  admin off
  auto_https off
}}
http://127.0.0.1:{kept} {{
  reverse_proxy 127.0.0.1:{broker} {{
    transport http {{
      keepalive 60s
      keepalive_idle_conns_per_host 64
    }}
  }}
}}
http://127.0.0.1:{new} {{
  reverse_proxy 127.0.0.1:{broker} {{
    transport http {{
      keepalive off
    }}
  }}
}}
"""


@contextlib.contextmanager
def routes(broker: int, folder: Path) -> Iterator[dict[str, str]]:
    """Start the proxies, and yield the URL of each way to the broker by its name."""
    with contextlib.ExitStack() as stack:
        found = {"direct": f"http://127.0.0.1:{broker}"}
        for name, text in (("nginx", NGINX), ("caddy", CADDY)):
            kept = free_ports(2)
            start(stack, name, text.format(folder=folder, broker=broker, kept=kept, new=kept + 1), folder)
            for port, title in ((kept, "kept connections"), (kept + 1, "new connections")):
                until(lambda port=port: accepts(port))  # type: ignore[misc]  # default
                found[f"{name}, {title}"] = f"http://127.0.0.1:{port}"
        yield found


def start(stack: contextlib.ExitStack, name: str, text: str, folder: Path) -> None:
    """Start a proxy with the text of its configuration; it ends with ``stack``. Its output is a file in ``folder``."""
    configuration = folder / f"{name}.conf"
    configuration.write_text(text, encoding="utf-8")
    arguments = ["-c", str(configuration)] if name == "nginx" else ["run", "--config", str(configuration)]
    adapter = [] if name == "nginx" else ["--adapter", "caddyfile"]
    program = program_of(name)
    log = stack.enter_context((folder / f"{name}.log").open("wb"))
    environment = {"HOME": str(folder), "PATH": "/usr/bin:/bin"}
    process = subprocess.Popen([program, *arguments, *adapter], stdout=log, stderr=log, env=environment)
    stack.callback(process.wait, 30)
    stack.callback(process.terminate)


def program_of(name: str) -> str:
    """Return the path of a proxy's program."""
    program = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    assert program, f"apt-get install {name}"
    return program


def accepts(port: int) -> bool:
    """Return whether a server accepts connections at the port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
