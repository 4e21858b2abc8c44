"""The files for Cloud Run and Cloudflare Containers, as far as they can be checked without an account."""

import json
import re
import secrets
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from broker.cli.main import _parser
from broker.settings import Settings, parse
from broker.settings.variables import VARIABLES
from tests.npm import NODE, install
from tests.patience import PATIENCE

pytestmark = pytest.mark.operations

DEPLOY: Final = Path(__file__).parents[2] / "deploy"
CLOUDFLARE: Final = DEPLOY / "cloudflare"
STUB: Final = """
class Container { constructor(context, env) {} }
const getRandom = async () => ({ fetch: async (request) => Response.json(Object.fromEntries(request.headers)) });
"""
"""The parts of @cloudflare/containers that the Worker uses, with an instance that returns what it receives."""


def configured(values: Mapping[str, str], secret_names: set[str]) -> Settings:
    """Return the settings that the files configure, with an access key and random secrets."""
    assert {name for name, variable in VARIABLES.items() if variable.kind == "secret"} & set(values) == set()
    assert {VARIABLES[name].kind for name in secret_names} == {"secret"}
    given = {name: secrets.token_hex(32) for name in secret_names}
    return parse({**values, **given, "R2_ACCESS_KEY_ID": "an-id"})


def jsonc(text: str) -> Any:
    """Return the document of JSON with comments."""
    return json.loads(re.sub(r"(^|\s)//.*$", "", text, flags=re.MULTILINE))


@pytest.fixture(scope="module")
def service() -> dict[str, Any]:
    """Return the pods of Cloud Run."""
    document = yaml.safe_load((DEPLOY / "cloud-run" / "service.yaml").read_text(encoding="utf-8"))
    assert (document["apiVersion"], document["kind"]) == ("serving.knative.dev/v1", "Service")
    return dict(document["spec"]["template"])


def test_cloud_run_configures_a_broker(service: dict[str, Any]) -> None:
    """The settings are valid without a warning, and the secrets are pinned versions of Secret Manager."""
    (container,) = service["spec"]["containers"]
    values = {each["name"]: each["value"] for each in container["env"] if "value" in each}
    references = {each["name"]: each["valueFrom"]["secretKeyRef"] for each in container["env"] if "valueFrom" in each}
    settings = configured(values, set(references))
    assert settings.store
    assert settings.warnings == ()
    assert settings.keep_alive > 600, "Google's load balancers keep connections for 600 seconds"
    assert all(reference["key"].isdigit() for reference in references.values())


def test_cloud_run_fits_the_command(service: dict[str, Any]) -> None:
    """The command listens on the port that the probes and the requests use, and CPU is not throttled."""
    (container,) = service["spec"]["containers"]
    options = _parser().parse_args(container["args"])
    assert (container["command"], options.command, options.host) == (["broker"], "serve", "0.0.0.0")
    assert [port["containerPort"] for port in container["ports"]] == [options.port]
    probes = [container["startupProbe"], container["livenessProbe"]]
    assert [(probe["httpGet"]["path"], probe["httpGet"]["port"]) for probe in probes] == [
        ("/readyz", options.port),
        ("/healthz", options.port),
    ]
    startup = probes[0]
    assert startup["timeoutSeconds"] <= startup["periodSeconds"]
    assert startup["periodSeconds"] * startup["failureThreshold"] <= 240, "the longest start that Cloud Run allows"
    annotations = service["metadata"]["annotations"]
    assert annotations["run.googleapis.com/cpu-throttling"] == "false"
    assert int(annotations["autoscaling.knative.dev/minScale"]) >= 1


def test_cloudflare_configures_a_broker() -> None:
    """The variables and secrets of the Worker configure a broker without a warning."""
    document = jsonc((CLOUDFLARE / "wrangler.jsonc").read_text(encoding="utf-8"))
    settings = configured(document["vars"], set(document["secrets"]["required"]))
    assert settings.store
    assert settings.warnings == ()
    (container,) = document["containers"]
    assert f"const INSTANCES = {container['max_instances']};" in (CLOUDFLARE / "worker.js").read_text(encoding="utf-8")


def test_wrangler_accepts_the_project(tmp_path: Path) -> None:
    """``wrangler deploy --dry-run`` bundles the Worker and accepts its configuration without a warning."""
    install(CLOUDFLARE)
    done = subprocess.run(
        [NODE, "node_modules/wrangler/bin/wrangler.js", "deploy", "--dry-run", "--outdir", str(tmp_path / "bundle")],
        cwd=CLOUDFLARE,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "WRANGLER_SEND_METRICS": "false", "CI": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    shutil.rmtree(CLOUDFLARE / ".wrangler", ignore_errors=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stdout + done.stderr
    assert "env.BROKER (Broker)" in done.stdout
    assert "container" in (tmp_path / "bundle" / "worker.js").read_text(encoding="utf-8")


def run_worker(tmp_path: Path, script: str) -> Any:
    """Run a script after the module of the Worker in Node.js; return the JSON document that it prints."""
    module = (CLOUDFLARE / "worker.js").read_text(encoding="utf-8")
    text, count = re.subn(r"^import .*$", STUB, module, flags=re.MULTILINE)
    assert count == 1
    (tmp_path / "worker.mjs").write_text(text.replace("export default", "const worker =") + script)
    done = subprocess.run([NODE, "worker.mjs"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_worker_chooses_the_port(tmp_path: Path) -> None:
    """A client can choose neither the port of the container nor its own address."""
    headers = {
        "cf-container-target-port": "9100",
        "CF-Connecting-IP": "192.0.2.1",
        "X-Forwarded-For": "203.0.113.7",
        "Authorization": "Bearer x",
    }
    request = f'new Request("https://broker.example/healthz", {{ headers: {json.dumps(headers)} }})'
    received = run_worker(tmp_path, f"console.log(await (await worker.fetch({request}, {{}})).text());")
    assert "cf-container-target-port" not in received
    assert (received["x-forwarded-for"], received["authorization"]) == ("192.0.2.1", "Bearer x")


def test_worker_passes_settings_on(tmp_path: Path) -> None:
    """The variables and secrets of the Worker become the environment of the container, its bindings do not."""
    env = '{ R2_BUCKET_NAME: "songs", BROKER_SECRET: "s", BROKER: { idFromName() {} } }'
    passed = run_worker(tmp_path, f"console.log(JSON.stringify(new Broker({{}}, {env}).envVars));")
    assert passed == {"R2_BUCKET_NAME": "songs", "BROKER_SECRET": "s"}
