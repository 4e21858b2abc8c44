"""The entry point of the ``broker`` command."""

import sys

from broker.server.startup import command_process


def main() -> int:
    """Run the command that the process's arguments name, and return its exit status."""
    with command_process(is_service=sys.argv[1:2] in (["serve"], ["demo"])):
        from .main import main as run  # noqa: PLC0415  signals are handled before the rest is imported

        return run()
