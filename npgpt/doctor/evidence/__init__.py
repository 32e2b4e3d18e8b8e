"""What is examined and what was measured: the pair, its inputs, what it gave, what is true."""
