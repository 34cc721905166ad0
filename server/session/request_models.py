"""What requests hold, as pydantic checks it and /openapi.json states it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rigid.edits.importing import ImportRequest
from rigid.edits.ramp import Easing
from server.session.states import State
from server.webrtc.trickle import MAX_CANDIDATES

MAX_RAMP_MS = 60_000

Edits = Annotated[
    dict[str, Any],
    Field(
        description="{attribute: strength}; 0 is off; see /api/v1/attributes.",
        examples=[{"smile": 0.8}],
        json_schema_extra={"additionalProperties": {"type": "number"}},
    ),
]
FaceNumber = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,8}$")]
FacesEdits = Annotated[
    dict[FaceNumber, Edits | None],
    Field(
        description="{number: {attribute: strength}}: one face's own, before those for all; null takes them away. "
        "GET …/faces has the numbers.",
        examples=[{"2": {"age": 1.0}}],
    ),
]
SingleEdits = Annotated[
    dict[str, dict[str, float]], Field(description="What single faces have of their own, by their numbers.")
]
RampMs = Annotated[
    float | None,
    Field(strict=True, ge=0, le=MAX_RAMP_MS, allow_inf_nan=False, description="Time to the new strengths, ms."),
]


class EditsRequest(BaseModel):
    """New strengths for some attributes, the others stay; or a preset to cross-fade to, on which `edits` go."""

    edits: Edits = Field(default_factory=dict)
    faces: FacesEdits = Field(default_factory=dict)
    face: Annotated[
        int | None, Field(strict=True, ge=1, description="The number of the face that `edits` and `preset` are for.")
    ] = None
    preset: Annotated[
        str | None, Field(strict=True, description="A name of /api/v1/presets: all that is not in it goes to 0.")
    ] = None
    ramp_ms: RampMs = None
    easing: Annotated[Easing | None, Field(description="How the strengths move on their way; smooth by default.")] = (
        None
    )
    wait: Annotated[
        bool, Field(strict=True, description="Over HTTP: answer once a frame has used the edits, or after 2 s.")
    ] = False

    @model_validator(mode="after")
    def _asks_for_something(self) -> EditsRequest:
        if self.preset is None and self.model_fields_set.isdisjoint(("edits", "faces")):
            raise ValueError("give edits, faces or a preset")
        return self


class FacesRequest(BaseModel):
    """Over the data channel: tell where the faces are, so often; 0 to stop."""

    every_ms: Annotated[float, Field(strict=True, ge=0, le=MAX_RAMP_MS, allow_inf_nan=False)] = 200.0


class SessionOptions(BaseModel):
    """How a session works; none is needed."""

    model_config = ConfigDict(extra="forbid")

    ramp_ms: RampMs = None
    badge: Annotated[
        bool | None, Field(description="Whether edited pictures say that they are; null leaves it to the server.")
    ] = None


class Candidate(BaseModel):
    """One of RTCPeerConnection's, as its `toJSON()` gives it."""

    candidate: Annotated[
        str, Field(max_length=1024, examples=["candidate:1 1 udp 2130706431 192.0.2.1 61764 typ host"])
    ]
    sdpMid: Annotated[str | None, Field(max_length=64)] = None
    sdpMLineIndex: Annotated[int | None, Field(ge=0, le=64)] = None


class CandidatesRequest(BaseModel):
    """Addresses found after the offer; an empty one, which ends them, may be among them."""

    candidates: Annotated[list[Candidate], Field(max_length=MAX_CANDIDATES)]


class OfferRequest(BaseModel):
    """A WebRTC offer with its candidates in it."""

    sdp: Annotated[str, Field(strict=True, description="The offer's SDP, once gathering is complete.")]
    type: Annotated[str, Field(strict=True, examples=["offer"])]


class SessionRequest(OfferRequest):
    """An offer and how to begin."""

    edits: Edits = Field(default_factory=dict)
    options: SessionOptions = SessionOptions()
    resume_token: Annotated[
        str | None, Field(description="Of a session, open or lost, that this one goes on from.")
    ] = None


class Answer(BaseModel):
    """The server's side of the negotiation."""

    sdp: str
    type: str
    session_id: str


class SessionCreated(BaseModel):
    """A new session; its address is in the Location header."""

    resumed: Annotated[bool, Field(description="Whether it goes on from the session of `resume_token`.")]

    id: str
    sdp: str
    type: str
    resume_token: str


class EditsAnswer(BaseModel):
    """The revision that the request made and the strengths every attribute is heading for."""

    rev: int
    edits: dict[str, float]
    faces: SingleEdits
    ramp_ms: float
    easing: str
    warnings: list[str]
    """What goes beyond what looks natural."""
    applied_frame: int | None
    """The processed frame that first used them; None where `wait` was not asked for, or none came in time."""


class AppliedState(BaseModel):
    """The newest revision that a frame has used, and the first frame with it."""

    rev: int
    frame: int | None


class SessionState(BaseModel):
    """A session in brief."""

    id: str
    state: State
    reason: Annotated[str, Field(description="Why, as a word; empty where nothing is wrong.", examples=["no_video"])]
    message: Annotated[str, Field(description="The reason as a sentence.")]
    created_at: str
    rev: int
    edits: dict[str, float]
    faces: SingleEdits
    applied: AppliedState
    networks: Annotated[
        dict[str, str],
        Field(
            description="Of those it can do without: `ready`, or what is wrong and done instead.",
            examples=[{"face_parser": "missing: faces are masked by their landmarks"}],
        ),
    ]


class RecordingState(BaseModel):
    """A film that the server keeps of what a session sends."""

    state: Annotated[
        Literal["recording", "finishing", "done", "failed"], Field(description="`failed`: there is no file.")
    ]
    file: Annotated[str, Field(description="Its name in the server's folder of recordings, once it is done.")]
    started_at: str
    seconds: float
    frames: int
    frames_dropped: Annotated[int, Field(description="Pictures left out because writing them fell behind.")]
    sound: Annotated[bool, Field(description="Whether it has a track for the session's sound.")]
    bytes: int
    ended: Annotated[
        str,
        Field(
            description="stopped, max_seconds, max_bytes, disk_full, session_ended, no_picture, failed; empty before.",
            examples=["stopped"],
        ),
    ]


class PresetRequest(BaseModel):
    """A preset to keep."""

    model_config = ConfigDict(extra="forbid")

    edits: Edits
    label: Annotated[str | None, Field(strict=True)] = None
    fade_ms: RampMs = None
    easing: Easing | None = None


class PresetState(BaseModel):
    """A named set of edits, and how the stream fades to it."""

    name: str
    label: str
    edits: dict[str, float]
    fade_ms: float
    easing: str
    custom: bool


class UploadQuery(BaseModel):
    """How an attribute's file is to be taken in; what is left out is as the file says, or as is usual for it."""

    model_config = ConfigDict(extra="forbid")

    filename: Annotated[str, Field(max_length=200, description="What the file is called.")] = "upload"
    name: Annotated[str | None, Field(description="How the API calls it; a file of this project has its own.")] = None
    label: Annotated[str | None, Field(max_length=200)] = None
    group: Annotated[str | None, Field(examples=["expression"])] = None
    layers: Annotated[str | None, Field(max_length=200, examples=["4-7"], description="The codes that carry it.")] = (
        None
    )
    strength: Annotated[float | None, Field(allow_inf_nan=False, description="Its length at strength 1.")] = None
    component: Annotated[int | None, Field(ge=0, description="Which of many directions in the file.")] = None
    one_way: Annotated[bool, Field(description="The range is 0 to 1, not -1 to 1.")] = False
    family: Annotated[str | None, Field(max_length=100, description="The generator that it is for.")] = None

    def as_request(self) -> ImportRequest:
        """Return the query as the library takes it."""
        return ImportRequest(**self.model_dump(exclude={"filename"}))
