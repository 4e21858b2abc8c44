"""How long tests wait. A machine with other work is slow, and that is not a fault of what is tested."""

from typing import Final

PATIENCE: Final = 60.0
"""Seconds for what comes soon on an idle machine: past them it never comes."""

SLACK: Final = 5.0
"""Seconds that an answer may be late beyond a deadline which is promised."""
