"""The command line program `rigid-live`."""
