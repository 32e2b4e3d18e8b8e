"""What forwards and programs should give, and what they give with a known mistake in them."""
