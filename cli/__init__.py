"""The command line program `rigid-live`."""

from cli.this_python import require_python

# before anything is imported that such a Python is without
require_python()
