"""The generators of faults that a change of the source shows, and their proof."""
