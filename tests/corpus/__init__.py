"""A corpus of real files, gathered from packages and made by encoders, and what the broker decides about them."""
