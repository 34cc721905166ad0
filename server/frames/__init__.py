"""A picture's way from the camera through the algorithm, off the event loop."""
