"""What comes before a face, drawn: each kind of thing, and how often."""
