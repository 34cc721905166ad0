// Which camera is open, or the demo's face in its place, and how large its picture is.
import { emit } from "../sdk/events.js";
import { Failure } from "../sdk/failures.js";
import { listCameras, openCamera, SIZES, stopCamera, USUAL_HEIGHT } from "./camera.js";
import { openDemoFace } from "./demo-face.js";
import { find } from "./dom.js";
import { recall, remember } from "./preferences.js";

const HEIGHT = "rigid-live.height";
/** Chosen as a camera is. */
export const DEMO = "demo";

/**
 * Events (`event.detail`): "media" (MediaStream or null: what is open from now on), "changed" (MediaStream: another one
 * was chosen), "failed" (why the camera could not be changed, or ended).
 */
export class CameraPicker extends EventTarget {
  /** @type {MediaStream | null} */
  media = null;
  /** What was last asked for: a camera's id, DEMO, or null for the browser's choice. @type {string | null} */
  wanted = null;
  #cameras = find("camera", "select");
  #sizes = find("size", "select");

  constructor() {
    super();
    this.#sizes.replaceChildren(...Object.keys(SIZES).map((height) => new Option(`${height}p`, height)));
    this.#sizes.value = recall(HEIGHT) ?? String(USUAL_HEIGHT);
    if (this.#sizes.selectedIndex < 0) this.#sizes.value = String(USUAL_HEIGHT);
    for (const choice of [this.#cameras, this.#sizes]) choice.addEventListener("change", () => this.#change());
  }

  /** Rejects with a Failure. @param {string | null} [deviceId] */
  async open(deviceId = null) {
    this.wanted = deviceId;
    if (!window.RTCPeerConnection) throw new Failure("unsupported");
    // Most phones open one camera at a time: the old one goes first.
    stopCamera(this.media);
    const opening = deviceId === DEMO ? openDemoFace() : openCamera(deviceId, Number(this.#sizes.value));
    this.media = await opening;
    const [track] = this.media.getVideoTracks();
    track.addEventListener("ended", () => emit(this, "failed", new Failure("camera-lost")));
    emit(this, "media", this.media);
    await this.#offer(deviceId === DEMO ? DEMO : track.getSettings().deviceId);
  }

  close() {
    stopCamera(this.media);
    this.media = null;
    emit(this, "media", null);
  }

  /** @param {string | undefined} current */
  async #offer(current) {
    const cameras = await listCameras();
    // None is named before one was allowed.
    const named = cameras.length > 0 ? cameras : [{ id: "", label: "Camera" }];
    const offered = [...named, { id: DEMO, label: "Demo face" }];
    this.#cameras.replaceChildren(...offered.map(({ id, label }) => new Option(label, id, false, id === current)));
    find("camera-pick").hidden = false;
  }

  async #change() {
    remember(HEIGHT, this.#sizes.value);
    if (!this.media) return;
    try {
      await this.open(this.#cameras.value || null);
      emit(this, "changed", this.media);
    } catch (error) {
      emit(this, "failed", error);
    }
  }
}
