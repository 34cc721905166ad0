"""The edited face onto the real one, and into its frame (Eq. 6 and 7)."""
