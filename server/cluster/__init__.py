"""The same server on many machines, on Ray: workers that carry the media, and an ingress that finds them.

Only this package imports Ray; a server by itself never does.
"""
