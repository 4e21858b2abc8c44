"""``python -m broker`` is the ``broker`` command."""

import sys

from broker.cli.entry import main

sys.exit(main())  # no guard: a worker that is spawned never imports a package's __main__
