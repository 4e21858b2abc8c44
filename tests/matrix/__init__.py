"""Run the unit tests on other Pythons and with other dependencies, and check the wheels of other platforms."""
