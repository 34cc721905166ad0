"""From the aligned face to the generator's codes and noise map, and from these to pictures (Eq. 1 to 5)."""
