"""What the service costs, beside others that do the same, in one run: ``python -m bench``."""
