// The page: joins camera, connection, sliders and stage.
import { Api } from "./api.js";
import { listCameras, openCamera, stopCamera } from "./camera.js";
import { Dials } from "./dials.js";
import { describe, Failure } from "./failures.js";
import { Calm, delayMs, FrameRate, Transport } from "./meter.js";
import { recall, remember } from "./memory.js";
import { Notice } from "./notice.js";
import { RigidLive } from "./rigid-live.js";
import { Stage } from "./stage.js";
import { drawStages, serverDelay } from "./timing.js";

const find = (id) => document.getElementById(id);
const KEY = "rigid-live.key";

const api = new Api({ key: recall(KEY, "session") });
const live = new RigidLive({ api });
const stage = new Stage(find("stage"));
const notice = new Notice(find("notice"), find("panes"));
const dials = new Dials(find("dials"), (edits, rampMs) => live.set(edits, rampMs));
const frames = new FrameRate(stage.after);
const fps = new Calm();
const delay = new Calm();

let transport = new Transport();
let serverStats = null;
let media = null;

const STATES = {
  idle: ["Ready", "quiet"],
  opening: ["Opening camera", "busy"],
  waiting: ["Server is warming up", "busy"],
  connecting: ["Connecting", "busy"],
  live: ["Live", "good"],
  reconnecting: ["Reconnecting", "busy"],
  failed: ["Stopped", "bad"],
};

function showPhase(phase) {
  const [words, tone] = STATES[phase];
  find("state").textContent = words;
  find("state").dataset.tone = tone;
  stage.phase = phase;
  const isRunning = !["idle", "failed"].includes(phase);
  find("welcome").hidden = isRunning;
  find("live").hidden = !isRunning;
  find("views").hidden = !isRunning;
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
  await live.start(media, dials.edits);
}

async function useCamera(deviceId = null) {
  // Most phones open one camera at a time: the old one goes first.
  stopCamera(media);
  media = await openCamera(deviceId);
  const [track] = media.getVideoTracks();
  track.addEventListener("ended", () => fail(new Failure("camera-lost")));
  stage.showCamera(media);
  await offerCameras(track.getSettings().deviceId);
}

async function offerCameras(current) {
  const cameras = await listCameras();
  const options = cameras.map(({ id, label }) => new Option(label, id, false, id === current));
  find("camera").replaceChildren(...options);
  find("camera-pick").hidden = cameras.length < 2;
}

async function switchCamera(deviceId) {
  try {
    await useCamera(deviceId);
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
  stopCamera(media);
  media = null;
  stage.showCamera(null);
  stage.showEdited(null);
  frames.stop();
  find("timing").hidden = true;
}

function fail(error) {
  release();
  live.stop();
  showPhase("failed");
  showFailure(describe(error));
}

function showFailure(failure) {
  notice.show(failure, {
    onAction: failure.code === "key-needed" ? useKey : start,
    onDismiss: stop,
  });
}

function useKey(key) {
  remember(KEY, key, "session");
  api.key = key;
  notice.hide();
  loadAttributes();
}

function phaseChanged({ detail }) {
  const { phase, failure } = detail;
  if (phase === "failed") {
    release();
    showPhase("failed");
    showFailure(failure);
    return;
  }
  // Stopped from the notice or by a new start: whoever did it shows the phase.
  if (phase === "idle") return;
  showPhase(phase);
  if (phase === "live" || phase === "connecting") notice.hide();
  if (phase === "waiting") notice.show(failure, { onDismiss: stop });
  if (phase === "reconnecting") showReconnecting(detail);
}

function showReconnecting({ failure, retryInMs }) {
  stage.showEdited(null);
  if (!failure) return;
  notice.show(failure, { onAction: () => live.retryNow(), onDismiss: stop, retryInMs });
}

function showEdited({ detail }) {
  transport = new Transport();
  fps.clear();
  delay.clear();
  serverStats = null;
  stage.showEdited(detail);
  frames.start((now) => stage.edited(now, delay.value));
}

function heard({ detail }) {
  if (detail.edits) dials.follow(detail.edits);
  if (detail.type === "stats") serverStats = detail;
}

async function measure() {
  if (!live.peer || live.phase !== "live") return;
  const network = await transport.read(live.peer);
  const rate = fps.add(frames.value ?? network.framesPerSecond);
  const late = delay.add(delayMs(serverDelay(serverStats), network));
  find("fps").textContent = rate === null ? "–" : rate.toFixed(rate < 9.95 ? 1 : 0);
  find("delay").textContent = late === null ? "–" : late.toFixed(0);
  drawStages(find("timing"), find("stages"), serverStats, network);
}

async function loadAttributes() {
  const note = find("deck-note");
  note.hidden = true;
  try {
    const attributes = await api.attributes();
    dials.build(Array.isArray(attributes) ? attributes : attributes.attributes);
    dialsChanged();
  } catch (error) {
    const failure = describe(error);
    if (failure.code === "key-needed") return void showFailure(failure);
    note.textContent = `The list of changes did not arrive: ${failure.title.toLowerCase()}. Trying again.`;
    note.hidden = false;
    setTimeout(loadAttributes, 3_000);
  }
}

function dialsChanged() {
  find("reset").disabled = !dials.changed;
  // Untouched sliders would draw the same face twice: a smile says what the page is for.
  stage.sketch(dials.changed ? dials.edits : { smile: 0.8 });
}

find("host").textContent = location.host;
find("start").addEventListener("click", start);
find("stop").addEventListener("click", stop);
find("reset").addEventListener("click", () => dials.reset());
find("dials").addEventListener("dials", dialsChanged);
find("camera").addEventListener("change", ({ target }) => switchCamera(target.value));
live.addEventListener("phase", phaseChanged);
live.addEventListener("track", showEdited);
live.addEventListener("message", heard);
setInterval(measure, 1_000);
showPhase("idle");
if (!window.isSecureContext) showFailure(describe(new Failure("insecure")));
loadAttributes();
