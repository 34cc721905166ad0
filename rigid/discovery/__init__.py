"""How attributes are found, labelled and measured; nothing of it runs when a face is edited."""
