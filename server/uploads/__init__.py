"""Attributes that clients bring, and pictures of what attributes do."""
