"""Clients that generators make from openapi.yaml: they compile, and they upload to a real broker and store."""
