// The page: joins camera, connection, sliders and stage.
import { Api } from "../sdk/api.js";
import { ScreenWakeLock } from "./screen-wake-lock.js";
import { listCameras, openCamera, SIZES, stopCamera, USUAL_HEIGHT } from "./camera.js";
import { EditPanel } from "./edit-panel.js";
import { diagnose } from "../sdk/diagnosis.js";
import { describe, Failure } from "../sdk/failures.js";
import { StatusPanel } from "./status-panel.js";
import { duration, Recorder, saveSnapshot } from "./downloads.js";
import { detailOf, RigidLive } from "../sdk/rigid-client.js";
import { recall, remember } from "./preferences.js";
import { CalmNumber, delayMs, FrameRate, Transport } from "../sdk/meter.js";
import { Notice } from "./notice.js";
import { Stage } from "./stage.js";
import { bindTheme } from "./theme.js";
import { drawStages, serverDelay } from "../sdk/timing.js";

/** @import { Described, Edits, PhaseDetail, Stats } from "../sdk/types.js" */

const KEY = "rigid-live.key";
const HEIGHT = "rigid-live.height";
const BADGE = "rigid-live.badge";

/** @param {string} id @returns {HTMLElement} */
const find = (id) => /** @type {HTMLElement} */ (document.getElementById(id));
/** @param {string} id */
const button = (id) => /** @type {HTMLButtonElement} */ (find(id));
/** @param {string} id */
const choice = (id) => /** @type {HTMLSelectElement} */ (find(id));
/** @param {string} id */
const box = (id) => /** @type {HTMLInputElement} */ (find(id));

const api = new Api({ key: recall(KEY, "session") });
const live = new RigidLive({ api });
const stage = new Stage(find("stage"));
const notice = new Notice(find("notice"), find("panes"));
const statusPanel = new StatusPanel(find("health"), find("hint"));
const recorder = new Recorder();
const wakeLock = new ScreenWakeLock();
const frames = new FrameRate(stage.after);
const fps = new CalmNumber();
const delay = new CalmNumber();
const editPanel = new EditPanel(find("deck"), api, {
  onChange: (edits, rampMs) => live.set(edits, rampMs),
  onSketch: (edits) => stage.sketch(edits),
  onKeyNeeded: showFailure,
});

let transport = new Transport();
/** @type {Stats | null} */
let serverStats = null;
/** @type {MediaStream | null} */
let media = null;
let seenAt = 0;

/** @type {Record<string, [string, string]>} */
const STATES = {
  idle: ["Ready", "quiet"],
  opening: ["Opening camera", "busy"],
  waiting: ["Server is warming up", "busy"],
  connecting: ["Connecting", "busy"],
  live: ["Live", "good"],
  reconnecting: ["Reconnecting", "busy"],
  failed: ["Stopped", "bad"],
};

/** @param {string} phase */
function showPhase(phase) {
  const [words, tone] = STATES[phase];
  find("state").textContent = words;
  find("state").dataset.tone = tone;
  stage.phase = phase;
  wakeLock.set(phase === "live" || phase === "reconnecting");
  const isRunning = !["idle", "failed"].includes(phase);
  find("welcome").hidden = isRunning;
  find("live").hidden = !isRunning;
  find("views").hidden = !isRunning;
  find("elsewhere").hidden = phase !== "live";
}

async function start() {
  notice.hide();
  showPhase("opening");
  try {
    await useCamera();
  } catch (error) {
    fail(error);
    return;
  }
  await connect();
}

async function connect() {
  live.options = { badge: box("badge").checked };
  if (media) await live.start(media, editPanel.edits);
}

/** @param {string | null} [deviceId] */
async function useCamera(deviceId = null) {
  // Most phones open one camera at a time: the old one goes first.
  stopCamera(media);
  media = await openCamera(deviceId, Number(choice("size").value));
  const [track] = media.getVideoTracks();
  track.addEventListener("ended", () => fail(new Failure("camera-lost")));
  stage.showCamera(media);
  await offerCameras(track.getSettings().deviceId);
}

/** @param {string | undefined} current */
async function offerCameras(current) {
  const cameras = await listCameras();
  const options = cameras.map(({ id, label }) => new Option(label, id, false, id === current));
  choice("camera").replaceChildren(...options);
  find("camera-pick").hidden = cameras.length < 2;
}

async function changeCamera() {
  remember(HEIGHT, choice("size").value);
  if (!media) return;
  try {
    await useCamera(choice("camera").value || null);
    await live.replaceCamera(media);
  } catch (error) {
    fail(error);
  }
}

async function stop() {
  notice.hide();
  release();
  showPhase("idle");
  await live.stop();
}

function release() {
  recorder.stop();
  stopCamera(media);
  media = null;
  stage.showCamera(null);
  stage.showEdited(null);
  frames.stop();
  statusPanel.show(null);
  find("timing").hidden = true;
}

/** @param {unknown} error */
function fail(error) {
  release();
  live.stop();
  showPhase("failed");
  showFailure(describe(error));
}

/** @param {Described} failure */
function showFailure(failure) {
  notice.show(failure, {
    onAction: failure.code === "key-needed" ? useKey : start,
    onDismiss: stop,
  });
}

/** @param {string} key */
function useKey(key) {
  remember(KEY, key, "session");
  api.key = key;
  notice.hide();
  editPanel.load();
}

/** @param {PhaseDetail} detail */
function phaseChanged({ phase, failure, retryInMs }) {
  if (phase === "failed") {
    release();
    showPhase("failed");
    if (failure) showFailure(failure);
    return;
  }
  // Stopped from the notice or by a new start: whoever did it shows the phase.
  if (phase === "idle") return;
  showPhase(phase);
  if (phase === "live" || phase === "connecting") notice.hide();
  if (phase === "live") showAddress();
  if (phase === "waiting" && failure) notice.show(failure, { onDismiss: stop });
  if (phase === "reconnecting") {
    recorder.stop();
    stage.showEdited(null);
    if (failure) notice.show(failure, { onAction: () => live.retryNow(), onDismiss: stop, retryInMs });
  }
}

/** @param {MediaStream} edited */
function showEdited(edited) {
  transport = new Transport();
  fps.clear();
  delay.clear();
  serverStats = null;
  seenAt = performance.now();
  stage.showEdited(edited);
  frames.start((now) => {
    seenAt = now;
    stage.onEdited(now, delay.value, serverStats?.badge ?? null);
  });
}

/** @param {{type: string, edits?: Edits} & Record<string, any>} message */
function heard(message) {
  if (message.edits) editPanel.follow(message.edits);
  if (message.type !== "stats") return;
  serverStats = /** @type {any} */ (message);
  if (live.phase === "live") showLive(serverStats?.recording?.state === "recording");
}

async function tellOfRecordings() {
  try {
    if (!(await api.version()).recordings) return;
    find("recorded").textContent = "This server can record what it sends back; you are told here while it does.";
  } catch {
    // The list of changes is fetched too, and says what is wrong.
  }
}

/** Whoever is recorded is told. @param {boolean} isRecorded */
function showLive(isRecorded) {
  const words = isRecorded ? "Live, recorded by the server" : STATES.live[0];
  if (find("state").textContent !== words) find("state").textContent = words;
}

async function measure() {
  if (!live.peer || live.phase !== "live") return;
  const network = await transport.read(live.peer);
  const rate = fps.add(frames.value ?? network.framesPerSecond);
  const late = delay.add(delayMs(serverDelay(serverStats), network));
  find("fps").textContent = rate === null ? "–" : rate.toFixed(rate < 9.95 ? 1 : 0);
  find("delay").textContent = late === null ? "–" : late.toFixed(0);
  drawStages(/** @type {HTMLDetailsElement} */ (find("timing")), find("stages"), serverStats, network);
  // A tab out of sight shows no pictures, and that is as it should be.
  if (document.hidden) seenAt = performance.now();
  const silentMs = performance.now() - seenAt;
  const findings = diagnose({ network, stats: serverStats, camera: stage.lookAtCamera(), silentMs });
  statusPanel.show({ network, stats: serverStats, findings });
}

// ---- what is kept, and what is watched elsewhere

async function takePicture() {
  await saveSnapshot(stage.after);
  find("hint").textContent = "The picture is in your downloads.";
}

function film() {
  if (recorder.isRunning) recorder.stop();
  else if (stage.after.srcObject) recorder.start(/** @type {MediaStream} */ (stage.after.srcObject));
}

/** @param {number | null} milliseconds of the film so far; null where none is made */
function showFilm(milliseconds) {
  const film = button("film");
  film.ariaPressed = String(milliseconds !== null);
  film.textContent = milliseconds === null ? "Record" : `Stop recording ${duration(milliseconds)}`;
}

function showAddress() {
  const address = new URL(`view.html?session=${live.sessionId}`, document.baseURI);
  if (api.key) address.hash = `key=${encodeURIComponent(api.key)}`;
  box("address").value = address.href;
}

async function copyAddress() {
  box("address").select();
  await navigator.clipboard.writeText(box("address").value);
  button("copy").textContent = "Copied";
  setTimeout(() => (button("copy").textContent = "Copy"), 2_000);
}

function changeBadge() {
  remember(BADGE, String(box("badge").checked));
  find("after-words").hidden = !box("badge").checked;
  if (live.phase === "live") connect();
}

function restoreChoices() {
  const heights = Object.keys(SIZES).map((height) => new Option(`${height}p`, height));
  choice("size").replaceChildren(...heights);
  choice("size").value = recall(HEIGHT) ?? String(USUAL_HEIGHT);
  if (choice("size").selectedIndex < 0) choice("size").value = String(USUAL_HEIGHT);
  box("badge").checked = recall(BADGE) !== "false";
  find("after-words").hidden = !box("badge").checked;
  button("film").hidden = !Recorder.possible;
}

if (new URLSearchParams(location.search).has("session")) location.replace(`view.html${location.search}${location.hash}`);
bindTheme(find("theme"));
restoreChoices();
find("host").textContent = location.host;
find("start").addEventListener("click", start);
find("stop").addEventListener("click", stop);
find("photo").addEventListener("click", takePicture);
find("film").addEventListener("click", film);
find("copy").addEventListener("click", copyAddress);
find("badge").addEventListener("change", changeBadge);
find("camera").addEventListener("change", changeCamera);
find("size").addEventListener("change", changeCamera);
recorder.addEventListener("time", (event) => showFilm(detailOf(event)));
recorder.addEventListener("end", () => showFilm(null));
live.addEventListener("phase", (event) => phaseChanged(detailOf(event)));
live.addEventListener("track", (event) => showEdited(detailOf(event)));
live.addEventListener("message", (event) => heard(detailOf(event)));
setInterval(measure, 1_000);
showPhase("idle");
if (!window.isSecureContext) showFailure(describe(new Failure("insecure")));
tellOfRecordings();
editPanel.load();
