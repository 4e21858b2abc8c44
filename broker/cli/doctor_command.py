"""``broker doctor``: prove a deployment with the settings of the service, and leave nothing behind."""

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path
from typing import cast

from broker import settings
from broker.doctor.configuration_checks import ADMIN_VARIABLE, faults_found
from broker.doctor.examination import InterruptedExaminationError, examine
from broker.doctor.findings import Category, Report, Status
from broker.doctor.report_text import FORMATS
from broker.server.exits import Exit
from broker.service.assembly import Deployment, assemble
from broker.settings import SettingsError

from .env_file import load_env_file


def run(output: str, token: str | None, env_file: Path | None) -> int:
    """Print the report, and return the exit status; raise ``StartError``. ``token`` ``-`` is read from the input."""
    load_env_file(env_file)
    logging.disable()  # the report has what the log would have
    try:
        return _report(output, token)
    finally:
        logging.disable(logging.NOTSET)


def _report(output: str, token: str | None) -> int:
    try:
        deployment = assemble(settings.from_environment())
    except SettingsError as error:
        return _print(Report([Category("configuration", faults_found(error.faults))]), output)
    if token == "-":  # noqa: S105  # not a token
        token = sys.stdin.readline().strip()
    try:
        report = asyncio.run(_examine(deployment, token))
    except (asyncio.CancelledError, InterruptedExaminationError) as error:
        print(f"broker: doctor: interrupted; {str(error) or 'no probe was made'}", file=sys.stderr)
        return Exit.INTERRUPTED
    return _print(report, output)


async def _examine(deployment: Deployment, token: str | None) -> Report:
    """Examine the deployment; a signal ends the examination after its probes were removed."""
    task = cast("asyncio.Task[Report]", asyncio.current_task())
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, cancel_once, task)
    try:
        return await examine(deployment, token=token, has_admin_key=bool(os.environ.get(ADMIN_VARIABLE)))
    finally:
        await deployment.close()


def cancel_once(task: "asyncio.Task[Report]") -> None:
    """Cancel the examination. A second signal must not end the removal of its probes."""
    if not task.cancelling():
        task.cancel()


def _print(report: Report, output: str) -> Exit:
    encoding = sys.stdout.encoding or "utf-8"  # one without the symbols must not end the command
    print(FORMATS[output](report).encode(encoding, "replace").decode(encoding), end="")
    return Exit.CHECK_FAILED if report.status is Status.FAILED else Exit.STOPPED
