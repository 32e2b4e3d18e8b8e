"""The version, alone in its file so that setup.cfg and the package read the same line."""

VERSION = "0.1.0"
