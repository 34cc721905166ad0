"""The web page and browser SDK, served as static files."""
