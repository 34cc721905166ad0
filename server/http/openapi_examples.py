"""One worked example of every request and answer, for the API's description; tests hold them to the schemas."""

from __future__ import annotations

from typing import Any

SESSION = "Wb7w0nLS0bS0x3iE"
EXAMPLE_OFFER = "v=0\r\no=- 3939 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n…"
ANSWER = "v=0\r\no=- 7701 2 IN IP4 192.0.2.10\r\ns=-\r\nt=0 0\r\nm=video 40012 UDP/TLS/RTP/SAVPF 96\r\n…"
EXAMPLE_FRAGMENT = (
    "a=ice-ufrag:EsAw\r\na=ice-pwd:bP+XJMM09aR8AiX1jdukzR6Y\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:0\r\n"
    "a=candidate:1 1 udp 2130706431 192.0.2.1 61764 typ host\r\n"
)
CANDIDATE = "candidate:1 1 udp 2130706431 192.0.2.1 61764 typ host"

STATE: dict[str, Any] = {
    "id": SESSION,
    "state": "live",
    "reason": "",
    "message": "",
    "created_at": "2026-11-24T09:05:07+00:00",
    "rev": 12,
    "edits": {"smile": 0.8},
    "faces": {"2": {"age": 1.0}},
    "applied": {"rev": 12, "frame": 3411},
    "networks": {"recurrent_encoder": "ready", "face_parser": "ready"},
}
FACE: dict[str, Any] = {
    "id": 2,
    "box": [0.52, 0.21, 0.71, 0.6],
    "since": "2026-11-24T09:05:09.214+00:00",
    "edited": True,
}
RECORDING: dict[str, Any] = {
    "state": "recording",
    "file": f"20261124-090507-000000-{SESSION}.mp4",
    "started_at": "2026-11-24T09:05:07+00:00",
    "seconds": 0.0,
    "frames": 0,
    "frames_dropped": 0,
    "sound": True,
    "bytes": 0,
    "ended": "",
}
RECORDED = {**RECORDING, "state": "done", "seconds": 12.4, "frames": 310, "bytes": 1_843_201, "ended": "stopped"}
NUMBERS: dict[str, Any] = {
    **STATE,
    "frame": 3460,
    "fps_in": 29.67,
    "fps_out": 14.33,
    "kbit_out": 1480,
    "age_ms": {"p50": 96.4, "p95": 141.0},
    "stage_ms": {"wait": 12.1, "align": 10.2, "invert": 21.7, "synthesize": 41.0, "blend": 6.3},
    "face": True,
    "advice": ["too_dark"],
    "faces_seen": [FACE],
    "width": 640,
    "height": 480,
    "frames_in": 7102,
    "frames_out": 3458,
    "frames_dropped": 3642,
    "frames_failed": 0,
    "frames_without_face": 4,
    "frames_reused": 1204,
    "audio_delay_ms": 97.0,
    "badge": [12, 444, 190, 24],
    "pace": {"level": 0, "max_fps": None, "cadence": 1, "inverted_after": 0.016},
    "recording": None,
}
ATTRIBUTE: dict[str, Any] = {
    "name": "smile",
    "label": "Smile",
    "group": "expression",
    "min": -1.0,
    "max": 1.0,
    "default": 0.0,
    "unit": "strength",
    "source": "learned from labelled generated faces",
    "effect": "the corners of the mouth rise",
    "measure": "mouth_smile",
    "target": 0.6,
    "identity": 0.92,
    "limit_min": -2.0,
    "limit_max": 2.0,
    "kind": "direction",
    "custom": False,
    "strip": "/api/v1/attributes/smile/strip.jpg?v=0123456789ab",
}
PRESET: dict[str, Any] = {
    "name": "mine",
    "label": "Mine",
    "edits": {"smile": 0.4, "age": -0.3},
    "fade_ms": 800.0,
    "easing": "smooth",
    "custom": True,
}
CREATED: dict[str, Any] = {
    "id": SESSION,
    "sdp": ANSWER,
    "type": "answer",
    "resume_token": "T0k3n-that-only-this-client-has-seen",
    "resumed": False,
}
EDITED: dict[str, Any] = {
    "rev": 12,
    "edits": {"smile": 0.8},
    "faces": {"2": {"age": 1.0}},
    "ramp_ms": 400.0,
    "easing": "smooth",
    "warnings": [],
    "applied_frame": None,
}
METRICS = (
    "# HELP rigid_live_ready 1 once sessions can be opened.\n# TYPE rigid_live_ready gauge\nrigid_live_ready 1.0\n"
)

REQUESTS: dict[str, Any] = {
    "open_session": {"sdp": EXAMPLE_OFFER, "type": "offer", "edits": {"smile": 0.8}, "options": {"ramp_ms": 400}},
    "offer": {"sdp": EXAMPLE_OFFER, "type": "offer"},
    "change_edits": {"edits": {"smile": 0.8}, "faces": {"2": {"age": 1.0}}, "ramp_ms": 400},
    "add_candidates": {"candidates": [{"candidate": CANDIDATE, "sdpMid": "0", "sdpMLineIndex": 0}]},
    "save_preset": {"edits": {"smile": 0.4, "age": -0.3}, "label": "Mine", "fade_ms": 800},
    "send": EXAMPLE_OFFER,
    "watch": EXAMPLE_OFFER,
    "trickle_sending": EXAMPLE_FRAGMENT,
    "trickle_watching": EXAMPLE_FRAGMENT,
}
"""By the operation's name."""
ANSWERS: dict[str, Any] = {
    "open_session": CREATED,
    "list_sessions": [STATE],
    "offer": {"sdp": ANSWER, "type": "answer", "session_id": SESSION},
    "show_session": STATE,
    "change_edits": EDITED,
    "list_faces": [FACE],
    "show_stats": NUMBERS,
    "start_recording": RECORDING,
    "stop_recording": RECORDED,
    "list_attributes": [ATTRIBUTE],
    "add_attribute": {**ATTRIBUTE, "name": "grin", "label": "Grin", "custom": True},
    "show_attribute": ATTRIBUTE,
    "list_presets": [PRESET],
    "save_preset": PRESET,
    "send": ANSWER,
    "watch": ANSWER,
    "list_ice_servers": {
        "ice_servers": [{"urls": ["turn:turn.example.org:3478"], "username": "1764000000:x", "credential": "c2VjcmV0"}]
    },
    "healthz": {"status": "ok"},
    "readyz": {"status": "ready"},
    "metrics": METRICS,
    "show_version": {
        "version": "1.2.3",
        "profile": "mobile-256",
        "engine": "openvino",
        "aiortc": "1.15.0",
        "python": "3.11.2",
        "recordings": False,
    },
}
PARAMETERS: dict[str, Any] = {
    "identity": SESSION,
    "name": "smile",
    "secret": "q3mU1cXy7f0bN2v8sHkz9wLdE5aTgR4P",
    "If-Match": '"4f1c9a2be07d5513"',
    "filename": "grin.npy",
    "label": "Grin",
    "group": "expression",
    "layers": "4-7",
    "strength": 2.0,
    "component": 0,
    "one_way": False,
    "family": "stylegan2-ffhq-config-f",
    "edits": {"smile": 0.8},
}
"""By their own names."""
