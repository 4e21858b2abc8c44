"""The unit tests on other Pythons and other versions of what is required, and the wheels that other platforms need."""
