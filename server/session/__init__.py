"""One viewer's session, all of them together, and what is left of one that ended."""
