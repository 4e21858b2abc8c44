"""``python -m broker`` is the ``broker`` command."""

import sys

from broker.cli.entry import main

sys.exit(main())  # without a test of __name__: a spawned worker never imports a package's __main__
