"""The API fuzzed from its own description, over HTTP, against a server without networks and a session that runs.

Whatever comes, nothing fails inside the server, every answer is one that the description states, and what does not fit
the description is refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import pytest
import schemathesis
from aiortc import RTCConfiguration, RTCPeerConnection
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from client import rigid_live
from rigid.edits.importing import Target
from rigid.edits.presets import PresetStore
from rigid.files.credentials import own_credentials
from scripts.reference import openapi
from server.app import create_app
from server.config import ServerConfig
from server.uploads.attribute_previews import Gallery
from tests.client.fakes import LightStream, attributes
from tests.client.serving import serving
from tests.patience import PATIENCE_SECONDS
from tests.server.world import draw_barcode

# The server runs in this process, and draws random numbers of its own meanwhile.
pytestmark = [pytest.mark.filterwarnings("ignore:Do not use the `random` module"), pytest.mark.slow]
load_all_checks()
NAMES = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
EXAMPLES = 12
FEWER = {"add_attribute": 3, "change_edits": 8}
"""A file is read in a process of its own, and edits may be waited for."""
ENDING = ("delete_session", "close_session")
OPERATIONS = [
    (path, method, operation["operationId"])
    for path, methods in openapi()["paths"].items()
    for method, operation in methods.items()
]


@schemathesis.serializer("application/sdp", "application/trickle-ice-sdpfrag")
def as_text(_context: schemathesis.SerializationContext, value: object) -> bytes:
    """SDP as it is; anything else, which is none, as it is written."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[schemathesis.BaseSchema, str]]:
    """The description of a server on which everything is allowed, and the id of a session."""
    folder = tmp_path_factory.mktemp("server")
    library = attributes()
    app = create_app(
        # Its session sends a single picture, and is to live as long as this takes.
        ServerConfig(
            max_sessions=50,
            idle_seconds=3600,
            dead_seconds=3600,
            connect_seconds=PATIENCE_SECONDS,
            allow_uploads=True,
            max_upload_bytes=1 << 16,
            recordings=folder / "films",
        ),
        LightStream,
        library,
        presets=PresetStore(library, folder / "presets"),
        gallery=Gallery(lambda one, strength: np.full((112, 112, 3), 90, np.uint8), folder / "strips"),
        uploads=Target(folder / "imported", n_codes=2, code_size=4, family=""),
        credentials=own_credentials(folder / "signing"),
    )
    with serving(app) as url, rigid_live.Client(url) as live:
        live.process(draw_barcode(1, 0))
        assert live.session_id is not None
        yield schemathesis.openapi.from_url(f"{url}/openapi.json"), live.session_id
        assert (
            httpx.get(f"{url}/api/v1/sessions/{live.session_id}", timeout=PATIENCE_SECONDS).json()["state"] != "closed"
        ), "it was unharmed"


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize(("path", "method", "name"), OPERATIONS, ids=[name for _, _, name in OPERATIONS])
def test_whatever_comes_the_answer_is_one_that_is_stated(
    running: tuple[schemathesis.BaseSchema, str], path: str, method: str, name: str, mode: GenerationMode
) -> None:
    schema, session = running
    operation = schema[path][method.upper()]
    if mode == GenerationMode.NEGATIVE and not (operation.body or operation.query or operation.headers):
        pytest.skip("every string is a path of it")
    fixed = {"identity": session} if "{identity}" in path and name not in ENDING else None
    names = [*NAMES, "negative_data_rejection"] if mode == GenerationMode.NEGATIVE else NAMES
    wanted: list[Any] = list(CHECKS.get_by_names(names))

    @settings(
        max_examples=FEWER.get(name, EXAMPLES),
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode, path_parameters=fixed))
    def ask(case: schemathesis.Case[Any]) -> None:
        case.call_and_validate(checks=wanted, timeout=PATIENCE_SECONDS)

    ask()


def offer() -> list[str]:
    """The lines of a real offer."""

    async def made() -> str:
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        peer.addTransceiver("video", "sendonly")
        await peer.setLocalDescription(await peer.createOffer())
        text = peer.localDescription.sdp
        await peer.close()
        return text

    # In a thread of its own: the browser of other tests keeps an event loop running in this one.
    with ThreadPoolExecutor(1) as apart:
        return apart.submit(asyncio.run, made()).result().splitlines()


@st.composite
def damaged(draw: st.DrawFn, lines: list[str]) -> str:
    """An offer with some lines lost, doubled, moved or changed."""
    changed = list(lines)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(changed) - 1))
        what = draw(st.sampled_from(("lost", "doubled", "moved", "cut", "written over")))
        line = changed.pop(place)
        if what == "doubled":
            changed[place:place] = [line, line]
        elif what == "moved":
            changed.insert(draw(st.integers(0, len(changed))), line)
        elif what == "cut":
            changed.insert(place, line[: draw(st.integers(0, len(line)))])
        elif what == "written over":
            changed.insert(place, line[:4] + draw(st.text(max_size=30)) + line[12:])
    return "\r\n".join([*changed, ""])


def test_a_damaged_offer_opens_a_session_or_is_refused(running: tuple[schemathesis.BaseSchema, str]) -> None:
    base, lines = str(running[0].get_base_url()).rstrip("/"), offer()

    @settings(max_examples=30, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(sdp=damaged(lines))
    def send(sdp: str) -> None:
        answer = httpx.post(f"{base}/api/v1/sessions", json={"sdp": sdp, "type": "offer"}, timeout=PATIENCE_SECONDS)
        assert answer.status_code in (201, 400), answer.text
        if answer.status_code == 201:
            assert httpx.delete(f"{base}{answer.headers['Location']}", timeout=PATIENCE_SECONDS).status_code == 204

    send()
