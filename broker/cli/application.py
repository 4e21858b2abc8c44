"""The application of a serving process, configured by the environment."""

from functools import partial

from starlette.applications import Starlette

from broker import settings
from broker.server.log_handler import JsonLogHandler, configure_logging
from broker.server.startup import finish_start
from broker.service.assembly import Deployment, assemble
from broker.settings import MetricsSettings
from broker.web.app import BackgroundTask, create_app
from broker.web.request_log import CountRequest


def from_environment() -> Starlette:
    """Return the application; raise ``SettingsError``."""
    log_handler = configure_logging()
    app = build(assemble(settings.from_environment()), log_handler)
    finish_start()
    return app


def build(deployment: Deployment, log_handler: JsonLogHandler) -> Starlette:
    """Return the application, which logs by ``log_handler`` and has metrics if they are configured."""
    metrics = deployment.settings.metrics
    count_request, background = _metrics(deployment, metrics, log_handler) if metrics else (None, [])
    return create_app(deployment, write_line=log_handler.write, count_request=count_request, background=background)


def _metrics(
    deployment: Deployment, configured: MetricsSettings, log_handler: JsonLogHandler
) -> tuple[CountRequest, list[BackgroundTask]]:
    """Return the function that counts a request, and the task that serves the metrics."""
    from broker.metrics import counters, scrape_app  # noqa: PLC0415  only if metrics are configured
    from broker.server import metrics_listener  # noqa: PLC0415  see above

    requests, store = counters.RequestMetrics(), deployment.store

    def read_process() -> counters.ProcessMetrics:
        return counters.ProcessMetrics(log_handler.lines_dropped(), store.clock_skew if store else None)

    app = scrape_app.scrape_app(requests, read_process)
    return requests.count, [partial(metrics_listener.serve, app, configured)]
