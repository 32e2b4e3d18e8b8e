"""The contestants: each module has prepare(**job) -> callable, and versions()."""
