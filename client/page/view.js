// The edited picture of a session and nothing else: for OBS's browser source, a second screen, a projector.
//
//     view.html?session=ID            the picture, transparent around it and while there is none
//     …&fit=cover  …&mirror=1         fill the window; the other way round
//     …&words=1                       say what is the matter (else only to a screen reader's user: nobody sees OBS's)
//     …#key=KEY                       for a server that asks for one; what follows # is never sent
import { Api } from "../sdk/api.js";
import { detailOf } from "../sdk/events.js";
import { describe, Failure } from "../sdk/failures.js";
import { play } from "./dom.js";
import { WhepViewer } from "../sdk/whep.js";

const asked = new URLSearchParams(location.search);
const key = new URLSearchParams(location.hash.slice(1)).get("key");
const session = asked.get("session");
const video = /** @type {HTMLVideoElement} */ (document.getElementById("picture"));
const words = /** @type {HTMLElement} */ (document.getElementById("words"));

/** @param {string} text */
function say(text) {
  words.textContent = text;
  words.hidden = !text || (session !== null && asked.get("words") !== "1");
}

function watch() {
  const viewer = new WhepViewer(new Api({ key }), /** @type {string} */ (session));
  viewer.addEventListener("track", (event) => {
    video.srcObject = detailOf(event);
    video.hidden = false;
    play(video);
  });
  viewer.addEventListener("phase", (event) => {
    const { phase, failure } = detailOf(event);
    document.body.dataset.phase = phase;
    say(phase === "waiting" ? `${failure.title}. ${failure.text}` : "");
    if (phase === "waiting") video.hidden = true;
  });
  viewer.start();
}

document.body.classList.toggle("is-cover", asked.get("fit") === "cover");
document.body.classList.toggle("is-mirrored", asked.get("mirror") === "1");
if (!session) say("Add ?session=ID to this address: the id that the page shows, or GET /api/v1/sessions.");
else if (!window.RTCPeerConnection) say(describe(new Failure("unsupported")).text);
else watch();
