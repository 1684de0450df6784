"""What runs, stores and lints the notebooks, and keeps links in step: for `make` and the tests."""
