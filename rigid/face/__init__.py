"""Where the face is in a frame, its 478 landmarks, and the FFHQ crop round it."""
