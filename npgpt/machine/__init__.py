"""What the process is asked for: threads, BLAS and the allocator."""
