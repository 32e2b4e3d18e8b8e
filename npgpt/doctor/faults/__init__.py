"""The generators of faults that values alone show, and the paths of forward."""
