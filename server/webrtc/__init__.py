"""Offers, peers and media lines: what WebRTC is to a session."""
