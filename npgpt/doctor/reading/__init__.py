"""The user's source: read from a file, or written down from a call of what has none."""
