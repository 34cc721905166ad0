"""The model store: where weights and networks of others come from, and where they are kept."""
