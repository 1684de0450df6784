"""What is too long for a notebook, each a command to run from the repository's root."""
