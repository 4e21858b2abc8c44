"""The manifests of ``deploy/kubernetes``: rendered, validated, and compared with the code that they run."""

import functools
import os
import re
import secrets
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from broker.cli.main import _parser
from broker.server.supervisor import STOP_WITHIN
from broker.settings import SettingsError, parse
from broker.settings.metrics_ports import metrics_address
from broker.settings.variables import VARIABLES
from tests.python_environments import install

pytestmark = pytest.mark.operations

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = ROOT / "deploy" / "kubernetes"
OVERLAYS: Final = sorted(path.name for path in (FOLDER / "overlays").iterdir())
VERSIONS: Final = ("1.30", "1.37")
"""The oldest version of Kubernetes that has a preStop action without a shell, and the newest one of the schemas."""

OPERATOR: Final = "monitoring.coreos.com/v1"
"""The API of the Prometheus Operator, of which Kubernetes has no schema."""

LABELS: Final = {"app.kubernetes.io/name": "r2-upload-broker"}
Resource = dict[str, Any]


def run(program: str, *words: str) -> str:
    """Run a program of the environment for these tests; return its output."""
    done = subprocess.run(
        [install(Path(__file__).parent / "kubernetes") / program, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@functools.cache
def rendered(overlay: str) -> str:
    """Return the text of an overlay."""
    return run("kubectl", "kustomize", str(FOLDER / "overlays" / overlay))


@pytest.fixture(scope="module", params=OVERLAYS)
def resources(request: pytest.FixtureRequest) -> dict[str, Resource]:
    """Return the resources of an overlay by their kinds."""
    documents = list(yaml.safe_load_all(rendered(request.param)))
    found = {document["kind"]: document for document in documents}
    assert len(found) == len(documents)
    return found


def pod(resources: dict[str, Resource]) -> Resource:
    """Return the specification of the pods."""
    return dict(resources["Deployment"]["spec"]["template"]["spec"])


def container(resources: dict[str, Resource]) -> Resource:
    """Return the only container of the pods."""
    (found,) = pod(resources)["containers"]
    return dict(found)


def ports(resources: dict[str, Resource]) -> dict[str, int]:
    """Return the ports of the container by their names."""
    return {port["name"]: port["containerPort"] for port in container(resources)["ports"]}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_overlay_is_strictly_valid(tmp_path: Path, overlay: str, version: str) -> None:
    """Every resource of an overlay has a schema of Kubernetes and passes it, with no unknown field."""
    file = tmp_path / "rendered.yaml"
    file.write_text(rendered(overlay))
    kinds = [each["kind"].lower() for each in yaml.safe_load_all(file.read_text()) if each["apiVersion"] != OPERATOR]
    said = run("kubernetes-validate", "-k", version, "--strict", str(file))
    assert re.findall(r"^INFO \S+ passed for resource (\w+)/", said, re.MULTILINE) == kinds


def test_limits_can_be_shared(tmp_path: Path) -> None:
    """The component for shared limits adds the setting of a Redis, and the way to it."""
    base = Path(os.path.relpath(FOLDER.resolve(), tmp_path.resolve()))
    resources = f"resources: [{base}/overlays/small]\ncomponents: [{base}/components/shared-limits]\n"
    (tmp_path / "kustomization.yaml").write_text(resources)
    text = run("kubectl", "kustomize", str(tmp_path))
    found = {document["kind"]: document for document in yaml.safe_load_all(text)}
    variable = container(found)["env"][-1]
    assert VARIABLES[variable["name"].removesuffix("_FILE")].kind == "secret"
    assert found["NetworkPolicy"]["spec"]["egress"][-1]["ports"] == [{"port": 6379, "protocol": "TCP"}]


def test_unknown_field_is_refused(tmp_path: Path) -> None:
    """The validator refuses a misspelt field, so that its silence means something."""
    file = tmp_path / "wrong.yaml"
    file.write_text(rendered(OVERLAYS[0]).replace("readOnlyRootFilesystem", "readOnlyRootFileSystem"))
    with pytest.raises(AssertionError, match="readOnlyRootFileSystem"):
        run("kubernetes-validate", "-k", VERSIONS[-1], "--strict", str(file))


def test_selectors_match_the_pods(resources: dict[str, Resource]) -> None:
    """Every selector of every resource selects the labels of the pods."""
    deployment = resources["Deployment"]["spec"]
    assert deployment["template"]["metadata"]["labels"] == LABELS
    selectors = [deployment["selector"]["matchLabels"], resources["Service"]["spec"]["selector"]]
    selectors.append(resources["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"])
    watching = {"PodDisruptionBudget", "PodMonitor"} & set(resources)
    selectors += [resources[kind]["spec"]["selector"]["matchLabels"] for kind in watching]
    selectors += [each["labelSelector"]["matchLabels"] for each in pod(resources).get("topologySpreadConstraints", [])]
    assert selectors == [LABELS] * len(selectors)
    assert pod(resources)["serviceAccountName"] == resources["ServiceAccount"]["metadata"]["name"]
    (source,) = container(resources)["envFrom"]
    assert source["configMapRef"]["name"] == resources["ConfigMap"]["metadata"]["name"]
    namespaced = [each for each in resources.values() if each["kind"] != "Namespace"]
    assert {each["metadata"]["namespace"] for each in namespaced} == {resources["Namespace"]["metadata"]["name"]}


def test_ports_match_the_command(resources: dict[str, Resource]) -> None:
    """The ports of the pods are those on which the command listens, and every reference names one of them."""
    spec = container(resources)
    options = _parser().parse_args(spec["args"])
    metrics = metrics_address(resources["ConfigMap"]["data"]["BROKER_METRICS_PORT"])
    assert (spec["command"], options.command, options.host, metrics.host) == (["broker"], "serve", "0.0.0.0", "0.0.0.0")
    assert ports(resources) == {"http": options.port, "metrics": metrics.ports.start}
    assert len(metrics.ports) == options.workers == 1
    assert [port["targetPort"] for port in resources["Service"]["spec"]["ports"]] == ["http"]
    allowed = [port["port"] for rule in resources["NetworkPolicy"]["spec"]["ingress"] for port in rule["ports"]]
    assert allowed == ["http", "metrics"]
    if "PodMonitor" in resources:
        assert [each["port"] for each in resources["PodMonitor"]["spec"]["podMetricsEndpoints"]] == ["metrics"]


def test_settings_are_valid(resources: dict[str, Resource], tmp_path: Path) -> None:
    """The settings of the pods are known, have no secret among them, and configure a broker without a warning."""
    values = dict(resources["ConfigMap"]["data"])
    assert [name for name in values if name not in VARIABLES or VARIABLES[name].kind == "secret"] == []
    (mount,) = container(resources)["volumeMounts"]
    for variable in container(resources)["env"]:
        name, path = variable["name"].removesuffix("_FILE"), Path(variable["value"])
        assert (VARIABLES[name].kind, str(path.parent)) == ("secret", mount["mountPath"])
        assert path.name == name.lower().replace("_", "-")
        file = tmp_path / path.name
        file.write_text(secrets.token_hex(32))
        values[f"{name}_FILE"] = str(file)
    with pytest.raises(SettingsError, match="R2_ACCESS_KEY_ID must not be a placeholder"):
        parse(values)
    settings = parse(values | {"R2_ACCESS_KEY_ID": "an-id"})
    assert settings.store
    assert settings.warnings == ()


def test_probes_exist_and_survive_outages(resources: dict[str, Resource]) -> None:
    """A pod starts when it can do its whole job, and then stays in service while it responds."""
    spec = container(resources)
    probes = {name: spec[name]["httpGet"] for name in ("startupProbe", "readinessProbe", "livenessProbe")}
    paths = {name: probe["path"] for name, probe in probes.items()}
    assert paths == {"startupProbe": "/readyz", "readinessProbe": "/healthz", "livenessProbe": "/healthz"}
    assert {probe["port"] for probe in probes.values()} == {"http"}
    document = yaml.safe_load((ROOT / "openapi.yaml").read_text(encoding="utf-8"))
    assert set(paths.values()) <= set(document["paths"])
    startup = spec["startupProbe"]
    assert startup["timeoutSeconds"] >= 5, "the store has 4 seconds"
    deadline = resources["Deployment"]["spec"]["progressDeadlineSeconds"]
    assert startup["periodSeconds"] * startup["failureThreshold"] < deadline


def test_stop_loses_no_request(resources: dict[str, Resource]) -> None:
    """The grace period covers the pause before the SIGTERM and the longest stop of the broker."""
    pause = container(resources)["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod(resources)["terminationGracePeriodSeconds"] >= pause + STOP_WITHIN + 5
    assert resources["Deployment"]["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_pods_are_restricted(resources: dict[str, Resource]) -> None:
    """The pods satisfy the Pod Security Standard "restricted", and have a read-only root and no API token."""
    labels = resources["Namespace"]["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    of_pod, spec = pod(resources), container(resources)
    assert of_pod["securityContext"]["runAsNonRoot"] is True
    assert of_pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert of_pod["automountServiceAccountToken"] is False
    assert resources["ServiceAccount"]["automountServiceAccountToken"] is False
    assert [set(volume) - {"name"} for volume in of_pod["volumes"]] == [{"secret"}]


def test_egress_reaches_only_its_services(resources: dict[str, Resource]) -> None:
    """The pods reach DNS and HTTPS outside of the cluster, and neither private addresses nor metadata services."""
    dns, https = resources["NetworkPolicy"]["spec"]["egress"]
    assert {(port["port"], port["protocol"]) for port in dns["ports"]} == {(53, "UDP"), (53, "TCP")}
    assert https["ports"] == [{"port": 443, "protocol": "TCP"}]
    excluded = {network for peer in https["to"] for network in peer["ipBlock"]["except"]}
    assert {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7"} <= excluded


def test_autoscaler_owns_the_replicas(resources: dict[str, Resource]) -> None:
    """The number of pods stands in the Deployment or is the autoscaler's, whose target has a CPU request."""
    assert ("HorizontalPodAutoscaler" in resources) != ("replicas" in resources["Deployment"]["spec"])
    requests = container(resources)["resources"]["requests"]
    assert set(requests) == {"cpu", "memory"}
    if "HorizontalPodAutoscaler" in resources:
        spec = resources["HorizontalPodAutoscaler"]["spec"]
        assert spec["scaleTargetRef"]["name"] == resources["Deployment"]["metadata"]["name"]
        assert spec["minReplicas"] > resources["PodDisruptionBudget"]["spec"]["maxUnavailable"]
