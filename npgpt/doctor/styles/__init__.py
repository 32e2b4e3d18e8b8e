"""A check for each style that people write in: each makes a pair of it and has it examined."""
