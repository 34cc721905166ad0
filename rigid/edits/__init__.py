"""What edits there are, what each adds to the codes, and how far it goes."""
