"""Videos and still images: read, edited, written."""
