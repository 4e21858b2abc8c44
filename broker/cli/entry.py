"""Where the process of a command begins."""

import gc


def main() -> int:
    """Run the command of the process's arguments; returns its exit status."""
    gc.disable()  # what is imported stays: to look through it, again and again, is a tenth of the start
    from .main import main as run  # noqa: PLC0415  after that

    return run()
