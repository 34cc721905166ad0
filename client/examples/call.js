// A plain call between two peers, one line of which is about faces: the track that the caller adds is a filtered one.
import { filterTrack } from "../rigid-live.js";

/** @import { FilteredTrack } from "../rigid-live.js" */

const server = new URL("..", location.href).href;
const words = /** @type {HTMLElement} */ (document.getElementById("words"));
const smile = /** @type {HTMLInputElement} */ (document.getElementById("smile"));
const mine = /** @type {HTMLVideoElement} */ (document.getElementById("mine"));
const theirs = /** @type {HTMLVideoElement} */ (document.getElementById("theirs"));

async function call() {
  const media = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 480 } });
  mine.srcObject = media;
  const filtered = await filterTrack(media.getVideoTracks()[0], { server, edits: { smile: Number(smile.value) } });
  tell(filtered);
  filtered.addEventListener("source", () => tell(filtered));
  smile.addEventListener("input", () => filtered.setEdits({ smile: Number(smile.value) }));
  await connect(filtered);
}

/** @param {FilteredTrack} filtered */
function tell(filtered) {
  words.textContent = filtered.getSource() === "edited" ? "The other end sees you edited." : "The other end sees you as you are.";
}

/** Both ends of a call, and between them what a signalling server would carry. @param {MediaStreamTrack} track */
async function connect(track) {
  const caller = new RTCPeerConnection();
  const callee = new RTCPeerConnection();
  caller.onicecandidate = ({ candidate }) => candidate && callee.addIceCandidate(candidate);
  callee.onicecandidate = ({ candidate }) => candidate && caller.addIceCandidate(candidate);
  callee.ontrack = ({ streams }) => (theirs.srcObject = streams[0]);
  caller.addTrack(track, new MediaStream([track]));
  await caller.setLocalDescription();
  await callee.setRemoteDescription(/** @type {RTCSessionDescription} */ (caller.localDescription));
  await callee.setLocalDescription();
  await caller.setRemoteDescription(/** @type {RTCSessionDescription} */ (callee.localDescription));
}

document.getElementById("call")?.addEventListener("click", () => {
  call().catch((error) => (words.textContent = error.message));
});
