"""The cost of the service beside other services, in one run: ``python -m bench``."""
