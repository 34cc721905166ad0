"""Who may come in: hosts, origins, keys, limits of rate and size."""
