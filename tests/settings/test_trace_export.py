"""Whether traces are exported, by the standard variables of OpenTelemetry."""

import pytest

from broker.settings import SettingsError, parse

from .test_settings import GOOD

URL = "http://127.0.0.1:4318"


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "uploads"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": URL}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f" {URL}/v1/traces "}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": URL}, False),
        ({"OTEL_SDK_DISABLED": "TRUE", "OTEL_TRACES_EXPORTER": "zipkin"}, False),
    ],
)
def test_export_by_variables(variables: dict[str, str], *, expected: bool) -> None:
    """Traces are exported with an endpoint or an exporter, unless the exporter is none or the library is disabled."""
    assert parse({**GOOD, **variables}).exports_traces is expected


@pytest.mark.parametrize(
    ("variables", "fault"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER must be otlp or none"),
        (
            {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "OTEL_EXPORTER_OTLP_PROTOCOL must be http/protobuf, or unset",
        ),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": URL, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json"},
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL must be http/protobuf, or unset",
        ),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317"},
            "OTEL_EXPORTER_OTLP_ENDPOINT must be a URL that begins with http:// or https://",
        ),
    ],
)
def test_unsupported_export_is_a_fault(variables: dict[str, str], fault: str) -> None:
    """An exporter or a protocol that is not supported, and an endpoint that is not a URL, are faults."""
    with pytest.raises(SettingsError) as caught:
        parse({**GOOD, **variables})
    assert caught.value.faults == (fault,)
