"""The tests, and the tools they share: `python -m tests.notebooks`."""
