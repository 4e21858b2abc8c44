"""The application of a serving process, configured by the environment."""

from functools import partial

from starlette.applications import Starlette

from broker import settings
from broker.server.log_handler import JsonLogHandler, configure_logging
from broker.server.startup import finish_start
from broker.service.assembly import Observers, assemble
from broker.settings import Settings
from broker.store.port import ObjectStore
from broker.web.app import create_app


def from_environment() -> Starlette:
    """Return the application; raise ``SettingsError``."""
    log_handler = configure_logging()
    app = build(settings.from_environment(), log_handler)
    finish_start()
    return app


def build(configured: Settings, log_handler: JsonLogHandler, *, store: ObjectStore | None = None) -> Starlette:
    """Return the application, which logs by ``log_handler`` and has metrics if they are configured.

    ``store`` replaces the configured one.
    """
    if configured.metrics is None:
        return create_app(assemble(configured, store=store), write_line=log_handler.write)
    from broker.metrics.instruments import Instruments, read_state  # noqa: PLC0415  only if metrics are configured
    from broker.metrics.scrape_app import scrape_app  # noqa: PLC0415  see above
    from broker.server import metrics_listener  # noqa: PLC0415  see above

    instruments = Instruments()
    observers = Observers(instruments.uploads, instruments.store_calls.count)
    deployment = assemble(configured, store=store, observers=observers)
    scraped = scrape_app(instruments, partial(read_state, deployment, log_handler.lines_dropped))
    return create_app(
        deployment,
        write_line=log_handler.write,
        count_request=instruments.requests.count,
        background=[partial(metrics_listener.serve, scraped, configured.metrics), instruments.lag.watch],
    )
