"""Films that the server keeps of what sessions send."""
