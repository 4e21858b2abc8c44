"""Whether traces are exported: read from the standard variables of OpenTelemetry, whose library reads the rest.

Source: opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables and /protocol/exporter.
"""

from collections.abc import Mapping
from typing import Final

from .environment import Environment

EXPORTER: Final = "OTEL_TRACES_EXPORTER"
"""The variable with the name of the exporter."""

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


def exports_traces(env: Environment, variables: Mapping[str, str]) -> bool:
    """Return whether the environment requests an export; an unsupported exporter or protocol is a fault."""
    given = {name: value.strip() for name, value in variables.items() if name.startswith("OTEL_")}
    if given.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    endpoint = next((name for name in _ENDPOINTS if given.get(name)), None)
    exporter = given.get(EXPORTER) or ("otlp" if endpoint else "none")
    if exporter == "none":
        return False
    if exporter != "otlp":
        env.fault(EXPORTER, "must be otlp or none")
    protocol = next((name for name in _PROTOCOLS if given.get(name)), None)
    if protocol and given[protocol] != "http/protobuf":
        env.fault(protocol, "must be http/protobuf, or unset")
    if endpoint and not given[endpoint].startswith(("http://", "https://")):
        env.fault(endpoint, "must be a URL that begins with http:// or https://")
    return True
