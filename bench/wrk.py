"""Load by wrk (github.com/wg/wrk): one thread, with connections that each send their next request at once.

A request that fails ends the whole benchmark, because error responses are quick.
"""

import json
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

CONNECTIONS = 64

# wrk's own report has no percentiles as plain numbers. wrk calls ``delay`` before each request; it is in milliseconds.
_SCRIPT = """
local requests, at = {%(requests)s}, 0
init = function(args)
  for i, r in ipairs(requests) do requests[i] = wrk.format(r.method, r.path, r.headers, r.body) end
end
request = function()
  at = at %% #requests + 1
  return requests[at]
end
%(delay)s
done = function(summary, latency)
  local e = summary.errors
  io.write(string.format(
    '\\n{"requests": %%d, "seconds": %%f, "p50": %%f, "p99": %%f, "errors": %%d}\\n', summary.requests,
    summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""


@dataclass(frozen=True, slots=True)
class Request:
    """One request with its header fields, except Host."""

    path: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""

    def lua(self) -> str:
        """Return the request as a Lua table."""
        headers = ", ".join(f"[{_quoted(name)}] = {_quoted(value)}" for name, value in self.headers.items())
        return (
            f"{{method = {_quoted(self.method)}, path = {_quoted(self.path)}, headers = {{{headers}}}, "
            f"body = {_quoted(self.body) if self.body else 'nil'}}}"
        )


@dataclass(frozen=True, slots=True)
class Load:
    """The result of one run of wrk. Latencies are in milliseconds."""

    requests: int
    seconds: float
    p50: float
    p99: float

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


def load(
    url: str, requests: Sequence[Request], seconds: float, *, connections: int = CONNECTIONS, pause: float = 0
) -> Load:
    """Send ``requests`` in turn, again and again, for a whole number of ``seconds``.

    Each connection waits before a request for a random time of 0 to 2 ``pause`` milliseconds. Raises
    ``RuntimeError`` when a request fails.
    """
    delay = f"delay = function() return math.random(0, {round(2 * pause)}) end" if pause else ""
    script = _SCRIPT % {"requests": ",\n".join(request.lua() for request in requests), "delay": delay}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "requests.lua"
        path.write_text(script, encoding="utf-8")
        arguments = ["-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout=10s", f"-s{path}", url]
        done = subprocess.run(["wrk", *arguments], capture_output=True, text=True, check=True)
    seen = json.loads(done.stdout.rpartition("\n{")[2].join(("{", "")))
    if seen.pop("errors"):
        raise RuntimeError(f"{url} failed to serve a request:\n{done.stdout}")
    return Load(**seen)


def _quoted(text: str) -> str:
    return json.dumps(text)
