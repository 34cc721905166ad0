// The page: joins camera, connection, sliders and stage.
import { Api } from "../sdk/api.js";
import { detailOf } from "../sdk/events.js";
import { describe, Failure } from "../sdk/failures.js";
import { RigidLive } from "../sdk/rigid-client.js";
import { isOfCamera } from "./camera.js";
import { CameraPicker, DEMO } from "./camera-picker.js";
import { find } from "./dom.js";
import { FaceRings } from "./face-rings.js";
import { EditPanel } from "./edit-panel.js";
import { bindKeeping, copyAddress, showAddress } from "./keeping.js";
import { LiveNumbers } from "./live-numbers.js";
import { Notice } from "./notice.js";
import { recall, remember } from "./preferences.js";
import { ScreenWakeLock } from "./screen-wake-lock.js";
import { Stage } from "./stage.js";
import { bindTheme } from "./theme.js";

/** @import { Described, Edits, PhaseDetail } from "../sdk/types.js" */

const KEY = "rigid-live.key";
const BADGE = "rigid-live.badge";
const FACES_EVERY_MS = 150;

const api = new Api({ key: recall(KEY, "session") });
const live = new RigidLive({ api });
const camera = new CameraPicker();
const stage = new Stage(find("stage"));
const numbers = new LiveNumbers(stage);
const recorder = bindKeeping(stage.after);
const notice = new Notice(find("notice"), find("panes"));
const wakeLock = new ScreenWakeLock();
const badge = find("badge", "input");
const rings = new FaceRings(find("faces"), stage.after, find("panes"));
const editPanel = new EditPanel(find("deck"), api, {
  onChange: (edits, rampMs) => live.set(edits, rampMs, rings.chosen),
  onSketch: (edits) => stage.sketch(edits),
  onKeyNeeded: showFailure,
});

/** What the server has last: for all faces, and of their own by number. @type {{all: Edits, single: Record<string, Edits>}} */
let strengths = { all: {}, single: {} };

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

// ---- what somebody at the page does

/** @param {string | null} [source] a camera's id, or DEMO; null for the browser's choice */
async function start(source = null) {
  notice.hide();
  showPhase("opening");
  try {
    await camera.open(source);
  } catch (error) {
    fail(error);
    return;
  }
  await connect();
}

/** With a smile, so that before and after differ at first sight. */
async function startDemo() {
  editPanel.smile();
  await start(DEMO);
}

async function connect() {
  live.options = { badge: badge.checked };
  if (camera.media) await live.start(camera.media, editPanel.edits);
}

async function stop() {
  notice.hide();
  release();
  showPhase("idle");
  await live.stop();
}

function release() {
  recorder.stop();
  camera.close();
  stage.showEdited(null);
  numbers.stop();
}

/** @param {string} key */
function useKey(key) {
  remember(KEY, key, "session");
  api.key = key;
  notice.hide();
  editPanel.load();
}

function changeBadge() {
  remember(BADGE, String(badge.checked));
  find("after-words").hidden = !badge.checked;
  if (live.phase === "live") connect();
}

// ---- what goes wrong

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
    onAction: failure.code === "key-needed" ? useKey : () => start(camera.wanted),
    onDismiss: stop,
    onDemo: isOfCamera(failure.code) ? startDemo : null,
  });
}

// ---- what becomes of the connection

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
  if (phase === "live") {
    showAddress(live.sessionId, api.key);
    live.watchFaces(FACES_EVERY_MS).catch(() => undefined); // a lost connection says so itself
  } else rings.show([]);
  if (phase === "waiting" && failure) notice.show(failure, { onDismiss: stop });
  if (phase === "reconnecting") {
    recorder.stop();
    stage.showEdited(null);
    if (failure) notice.show(failure, { onAction: () => live.retryNow(), onDismiss: stop, retryInMs });
  }
}

/** @param {MediaStream} edited */
function showEdited(edited) {
  stage.showEdited(edited);
  numbers.start();
}

/** @param {{type: string, edits?: Edits} & Record<string, any>} message */
function heard(message) {
  if (message.type === "faces") rings.show(message.faces);
  else if (message.edits) {
    strengths = { all: message.edits, single: message.faces ?? {} };
    showStrengths();
  }
  if (message.type !== "stats") return;
  numbers.stats = /** @type {any} */ (message);
  if (live.phase === "live") showLive(message.recording?.state === "recording");
}

/** The sliders stand as all faces' edits do, or as those of the one that is chosen. */
function showStrengths() {
  editPanel.follow({ ...strengths.all, ...(rings.chosen !== null && strengths.single[rings.chosen]) });
}

function showChosen() {
  find("aimed").hidden = rings.chosen === null;
  find("aimed-words").textContent = rings.chosen === null ? "" : `Face ${rings.chosen} only`;
  showStrengths();
}

/** Whoever is recorded is told. @param {boolean} isRecorded */
function showLive(isRecorded) {
  const words = isRecorded ? "Live, recorded by the server" : STATES.live[0];
  if (find("state").textContent !== words) find("state").textContent = words;
}

async function tellOfRecordings() {
  try {
    if (!(await api.version()).recordings) return;
    find("recorded").textContent = "This server can record what it sends back; you are told here while it does.";
  } catch {
    // The list of changes is fetched too, and says what is wrong.
  }
}

const address = new URLSearchParams(location.search);
if (address.has("session")) location.replace(`view.html${location.search}${location.hash}`);
bindTheme(find("theme"));
badge.checked = recall(BADGE) !== "false";
find("after-words").hidden = !badge.checked;
find("host").textContent = location.host;
find("start").addEventListener("click", () => start());
find("demo").addEventListener("click", startDemo);
find("stop").addEventListener("click", stop);
find("copy").addEventListener("click", copyAddress);
badge.addEventListener("change", changeBadge);
rings.addEventListener("choice", showChosen);
find("aim-at-all").addEventListener("click", () => rings.choose(null));
camera.addEventListener("media", (event) => stage.showCamera(detailOf(event)));
camera.addEventListener("changed", (event) => live.replaceCamera(detailOf(event)).catch(fail));
camera.addEventListener("failed", (event) => fail(detailOf(event)));
live.addEventListener("phase", (event) => phaseChanged(detailOf(event)));
live.addEventListener("track", (event) => showEdited(detailOf(event)));
live.addEventListener("message", (event) => heard(detailOf(event)));
setInterval(() => live.peer && live.phase === "live" && numbers.measure(live.peer), 1_000);
showPhase("idle");
tellOfRecordings();
const loaded = editPanel.load();
if (address.get("source") === DEMO) loaded.then(startDemo);
else if (!window.isSecureContext) showFailure(describe(new Failure("insecure")));
