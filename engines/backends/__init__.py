"""One file for each library that runs the networks."""
