"""A short run of the fuzzing over HTTP; ``make fuzz`` runs longer."""

import pytest

from tests.e2e.processes import Broker

from . import properties
from .journal import findings
from .properties import PROPERTIES, Target

EXAMPLES = {"invalid_tokens": 600, "paths": 400, "reads": 300, "bodies": 400, "creates": 200, "raw": 200}


@pytest.mark.parametrize("name", PROPERTIES)
def test_no_response_breaks_the_rules(name: str, target: Target, broker: Broker) -> None:
    """No generated request causes a response, or a log line, that breaks a rule."""
    before = target.wire.sent
    properties.run(name, target, EXAMPLES[name])
    assert target.wire.sent >= before + EXAMPLES[name] // 2
    assert findings(broker) == []
