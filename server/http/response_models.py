"""What is answered besides sessions themselves: their numbers, what is on offer, and how the server is."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from server.session.request_models import RecordingState, SessionState

Milliseconds = Annotated[float | None, Field(description="Null where nothing was measured.")]


class Percentiles(BaseModel):
    """Of the last seconds' pictures."""

    p50: Milliseconds
    p95: Milliseconds


class PaceState(BaseModel):
    """How much is done for a session, to keep the latency budget."""

    level: Annotated[int, Field(ge=0, description="0: everything.")]
    max_fps: Annotated[float | None, Field(description="Pictures a second that are taken on; null for all.")]
    cadence: Annotated[int, Field(ge=1, description="The networks run for each so many pictures.")]
    inverted_after: Annotated[
        float,
        Field(
            ge=0,
            description="How far the face moves, in sides of its crop, before the unedited one, which is not shown, is "
            "generated anew; 0: for all of these.",
        ),
    ]


class FaceState(BaseModel):
    """A face in the newest picture."""

    id: Annotated[int, Field(ge=1, description="Its number, which no other face of the session gets.")]
    box: Annotated[
        tuple[float, float, float, float],
        Field(description="Left, top, right and bottom, in shares of the picture's width and height."),
    ]
    since: Annotated[str, Field(description="When it was first seen.")]
    edited: Annotated[bool, Field(description="Whether the picture shows an edit of it.")]


class SessionNumbers(SessionState):
    """A session in numbers, over the last seconds."""

    model_config = ConfigDict(extra="forbid")

    frame: Annotated[int, Field(description="Pictures processed so far.")]
    fps_in: float
    fps_out: float
    kbit_out: Annotated[int, Field(description="Kilobits a second of video sent.")]
    age_ms: Annotated[Percentiles, Field(description="From a picture's arrival to its sending.")]
    stage_ms: Annotated[dict[str, float | None], Field(description="Medians of what a picture's time goes into.")]
    face: Annotated[bool, Field(description="Whether the newest picture has one.")]
    advice: Annotated[
        list[Literal["face_cut_off", "face_covered", "several_faces", "too_dark", "too_small"]],
        Field(description="What whoever is before the camera can mend; it holds of most of the last pictures."),
    ]
    faces_seen: list[FaceState]
    width: int
    height: int
    frames_in: int
    frames_out: int
    frames_dropped: int
    frames_failed: int
    frames_without_face: int
    frames_reused: Annotated[
        int, Field(description="Pictures that came before the last was done, and show its faces, moved along.")
    ]
    audio_delay_ms: Annotated[float | None, Field(description="How late the sound is sent, to be in step.")]
    badge: Annotated[
        tuple[int, int, int, int] | None,
        Field(description="Where the words are: left, top, width, height."),
    ]
    pace: PaceState
    recording: RecordingState | None


class AttributeState(BaseModel):
    """One edit on offer."""

    model_config = ConfigDict(extra="forbid")

    name: str
    label: str
    group: str
    min: Annotated[float, Field(description="From here to `max` it looks natural.")]
    max: float
    default: float
    unit: str
    source: Annotated[str, Field(description="Where the edit comes from.")]
    effect: Annotated[str, Field(description="What strength 1 does, measured.")]
    measure: Annotated[str, Field(description="What `target` is measured as.")]
    target: Annotated[float | None, Field(description="By how much strength 1 changes `measure`.")]
    identity: Annotated[float | None, Field(description="Similarity of the face before and at strength 1.")]
    limit_min: Annotated[float, Field(description="The least strength taken.")]
    limit_max: Annotated[float, Field(description="The greatest strength taken.")]
    kind: Literal["direction", "map"]
    custom: Annotated[bool, Field(description="Whether it was brought to this server.")]
    strip: Annotated[
        str | None, Field(description="Address of a picture of it at five strengths; null where there is none.")
    ]


class IceServerState(BaseModel):
    """As RTCPeerConnection's `iceServers` takes it."""

    urls: list[str]
    username: str | None = None
    credential: str | None = None


class IceServers(BaseModel):
    """STUN and TURN servers; none on a local network."""

    ice_servers: list[IceServerState]


class Status(BaseModel):
    """How the server is."""

    status: Literal["ok", "ready"]


class VersionState(BaseModel):
    """What runs."""

    version: str
    profile: str
    engine: str
    aiortc: str
    python: str
    recordings: Annotated[bool, Field(description="Whether sessions can be recorded here.")]
