"""The entry point of the ``broker`` command."""

from broker.server.startup import command_process


def main() -> int:
    """Run the command of the process's arguments; returns its exit status."""
    with command_process():
        from .main import main as run  # noqa: PLC0415  signals are handled before the rest is loaded

        return run()
