"""The application of a serving process, configured by the environment."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.middleware import Middleware

from broker import settings
from broker.server.log_handler import JsonLogHandler, configure_logging
from broker.server.startup import finish_start
from broker.service.assembly import Deployment, Observers, assemble
from broker.settings import MetricsSettings, Settings
from broker.store.ended_call import EndedCall, ObserveCall
from broker.store.port import ObjectStore
from broker.web.app import BackgroundTask, create_app

if TYPE_CHECKING:
    from broker.metrics.instruments import Instruments
    from broker.tracing.exported_traces import ExportedTraces


def from_environment() -> Starlette:
    """Return the application; raise ``SettingsError``."""
    log_handler = configure_logging()
    app = build(settings.from_environment(), log_handler)
    finish_start()
    return app


def build(configured: Settings, log_handler: JsonLogHandler, *, store: ObjectStore | None = None) -> Starlette:
    """Return the application, which logs by ``log_handler``, with metrics and traces if they are configured.

    ``store`` replaces the configured one.
    """
    instruments = _instruments() if configured.metrics else None
    traces = _traces() if configured.exports_traces else None
    calls: list[ObserveCall] = []
    if instruments:
        calls.append(instruments.store_calls.count)
    if traces:
        calls.append(traces.observe_call)
    observers = Observers(instruments.uploads if instruments else None, _all_of(calls))
    deployment = assemble(configured, store=store, observers=observers)
    background: list[BackgroundTask] = [traces.run] if traces else []
    if instruments and configured.metrics:
        background += _metrics_tasks(deployment, configured.metrics, instruments, log_handler)
    return create_app(
        deployment,
        write_line=log_handler.write,
        count_request=instruments.requests.count if instruments else None,
        background=background,
        outermost=[_middleware(traces)] if traces else [],
    )


def _instruments() -> "Instruments":
    from broker.metrics.instruments import Instruments  # noqa: PLC0415  only if metrics are configured

    return Instruments()


def _traces() -> "ExportedTraces":
    from broker.tracing.exported_traces import ExportedTraces  # noqa: PLC0415  only if traces are exported

    return ExportedTraces()


def _middleware(traces: "ExportedTraces") -> Middleware:
    from broker.tracing.trace_requests import TraceRequests  # noqa: PLC0415  see above

    return Middleware(TraceRequests, traces.tracer)


def _metrics_tasks(
    deployment: Deployment, configured: MetricsSettings, instruments: "Instruments", log_handler: JsonLogHandler
) -> list[BackgroundTask]:
    """Return the tasks that serve the metrics and measure the lag of the event loop."""
    from broker.metrics.instruments import read_state  # noqa: PLC0415  only if metrics are configured
    from broker.metrics.scrape_app import scrape_app  # noqa: PLC0415  see above
    from broker.server import metrics_listener  # noqa: PLC0415  see above

    app = scrape_app(instruments, partial(read_state, deployment, log_handler.lines_dropped))
    return [partial(metrics_listener.serve, app, configured), instruments.lag.watch]


def _all_of(observers: Sequence[ObserveCall]) -> ObserveCall | None:
    """Return one function for all observers; ``None`` without any."""
    if len(observers) < 2:
        return observers[0] if observers else None

    def observe(call: EndedCall) -> None:
        for each in observers:
            each(call)

    return observe
