"""The Python client: frames in, edited frames out, over WebRTC from a RIGID Live server.

from client import rigid_live

with rigid_live.Client("http://localhost:8080", smile=0.8) as live:
    edited = live.process(frame)              # RGB uint8 (H, W, 3): this very frame, edited
    live.set(age=1.0, ramp_ms=400)

async with rigid_live.AsyncClient("http://localhost:8080", smile=0.8) as live:
    edited = await live.process(frame)        # each frame, in its turn
    live.send(frame)                          # or live: the newest frame wins, nothing waits
    edited = await live.receive()
"""

from __future__ import annotations

from client.python.connection import AsyncClient
from client.python.files import FileReport, edit_file
from client.python.http import LiveError
from client.python.shapes import Picture
from client.python.sync import Client

__all__ = ["AsyncClient", "Client", "FileReport", "LiveError", "Picture", "edit_file"]
