"""Documents whose bytes arrive a few at a time, as from a pipe."""

import io

from npgpt.text.sources import Document


class _Slow(io.BytesIO):
    def __init__(self, content, block_bytes):
        super().__init__(content)
        self.block_bytes = block_bytes

    def read(self, size=-1):
        return super().read(self.block_bytes)


def slow_document(name, content, block_bytes):
    """A document that gives at most `block_bytes` at once."""
    return Document(name, lambda: _Slow(content, block_bytes))
