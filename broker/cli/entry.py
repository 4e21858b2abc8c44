"""The entry point of the ``broker`` command."""

from broker.server.startup import command_process


def main() -> int:
    """Run the command that the process's arguments name, and return its exit status."""
    with command_process():
        from .main import main as run  # noqa: PLC0415  signals are handled before the rest is imported

        return run()
