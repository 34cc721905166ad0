"""The options of `rigid-live serve`, one type each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Host = Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0 for the whole network.")]
Port = Annotated[int, typer.Option(help="The TCP port to listen on.")]
MaxSessions = Annotated[int, typer.Option(metavar="N", help="More sessions than these are turned away.")]
MaxWatchers = Annotated[int, typer.Option(metavar="N", help="More viewers over WHEP are turned away.")]
MinFps = Annotated[
    float,
    typer.Option(metavar="FPS", help="Turn a session away that would leave each with less; 0 asks for nothing."),
]
LatencyBudgetMs = Annotated[
    float | None, typer.Option(metavar="MS", help="Keep pictures younger than this by doing less.")
]
Https = Annotated[bool, typer.Option("--https", help="Serve https with a self-signed certificate.")]
Certificate = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Serve https with this certificate (chain), PEM.")
]
PrivateKey = Annotated[Path | None, typer.Option(metavar="FILE", help="The certificate's key, PEM.")]
ApiKey = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KEY",
        envvar="RIGID_LIVE_API_KEY",
        help="Ask clients for this key, as a bearer token; may be repeated.",
    ),
]
MaxSessionsPerKey = Annotated[
    int | None, typer.Option(metavar="N", help="More sessions than these of one key are turned away.")
]
RequestsPerMinute = Annotated[
    int | None, typer.Option(metavar="N", help="More requests than these of one key, or address, are turned away.")
]
AllowOrigin = Annotated[
    list[str] | None,
    typer.Option(metavar="ORIGIN", help="Let pages of https://HOST use the API; may be repeated. None by default."),
]
AllowHost = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="Answer requests for this name (*.DOMAIN: all below it; *: any), as behind a proxy; may be repeated.",
    ),
]
IceServer = Annotated[
    list[str] | None,
    typer.Option(
        metavar="URL",
        help="stun:HOST:PORT, turn:USER:PASSWORD@HOST:PORT, or with --turn-secret turn:HOST:PORT; may be repeated. "
        "None by default.",
    ),
]
TurnSecret = Annotated[
    str | None,
    typer.Option(
        metavar="SECRET",
        envvar="RIGID_LIVE_TURN_SECRET",
        help="What the TURN servers share with this one; clients get credentials that expire.",
    ),
]
TurnSeconds = Annotated[float, typer.Option(metavar="S", help="How long those credentials are valid.")]
UdpPortRange = Annotated[str | None, typer.Option(metavar="A-B", help="Receive video on these UDP ports only.")]
StartBitrate = Annotated[int, typer.Option(metavar="BPS", help="Of the video sent, at first.")]
MinBitrate = Annotated[int, typer.Option(metavar="BPS", help="Of the video sent, at least.")]
MaxBitrate = Annotated[int, typer.Option(metavar="BPS", help="Of the video sent, at most.")]
MaxPictureSide = Annotated[
    int, typer.Option(metavar="PX", help="Pictures longer on a side are left out before they are decoded.")
]
IdleSeconds = Annotated[float, typer.Option(metavar="S", help="End a session without video after these.")]
MaxSessionSeconds = Annotated[float | None, typer.Option(metavar="S", help="End every session after these.")]
ResumeSeconds = Annotated[float, typer.Option(metavar="S", help="How long a lost session can be gone on with.")]
DrainSeconds = Annotated[
    float, typer.Option(metavar="S", help="How long sessions may go on after SIGTERM; no new ones are taken.")
]
ExpectGpu = Annotated[
    bool,
    typer.Option("--expect-gpu", help="Say so at the start where no NVIDIA GPU can be used, and go on without."),
]
AllowUploads = Annotated[
    bool, typer.Option("--allow-uploads", help="Let clients add attributes and presets, which stay here.")
]
Recordings = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="Let clients have their sessions recorded here; nothing is kept without it."),
]
MaxRecordingSeconds = Annotated[float, typer.Option(metavar="S", help="A recording ends by itself after these.")]
MaxRecordingMb = Annotated[float, typer.Option(metavar="MB", help="A recording ends by itself before it is larger.")]
MinFreeMb = Annotated[float, typer.Option(metavar="MB", help="Recordings leave so much of their disk free.")]
RecordingsQuotaMb = Annotated[
    float | None, typer.Option(metavar="MB", help="What all recordings may take together; no bound by default.")
]
NoBadge = Annotated[
    bool, typer.Option("--no-badge", help="Leave “Edited with AI” out of pictures, unless a session asks for it.")
]
C2paCertificate = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Sign what is kept of edited video with this certificate (chain), PEM."),
]
C2paKey = Annotated[Path | None, typer.Option(metavar="FILE", help="That certificate's key, P-256, PEM.")]
Cluster = Annotated[
    str | None,
    typer.Option(
        metavar="[ADDRESS]",
        help="Serve on all nodes of the Ray cluster at HOST:PORT; without an address, on that of this machine. "
        "--max-sessions and --max-watchers are then each worker's.",
    ),
]
Workers = Annotated[
    str | None,
    typer.Option(
        metavar="A-B",
        help="With --cluster: how many workers, by free capacity; as many as the nodes hold by default.",
    ),
]
WorkerCpus = Annotated[float, typer.Option(metavar="N", help="With --cluster: processors of a worker.")]
WorkerGpus = Annotated[
    float | None, typer.Option(metavar="N", help="With --cluster: GPUs of a worker; 1 where there are any.")
]
LogLevel = Annotated[str, typer.Option(help="critical, error, warning, info or debug.")]
