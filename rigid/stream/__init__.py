"""One viewer's video, frame by frame, and everything it remembers."""
