// The SDK: a camera track goes in, a track with the face edited comes out.
import { Api } from "./sdk/api.js";
import { detailOf, emit } from "./sdk/events.js";
import { Failure } from "./sdk/failures.js";
import { FINAL, RigidLive } from "./sdk/rigid-client.js";
import { makeMixer } from "./sdk/mixer.js";

/** @import { Ack, Attribute, Described, Edits, Phase, PhaseDetail, Preset, Stats } from "./sdk/types.js" */

export { Api, ApiError } from "./sdk/api.js";
export { Failure } from "./sdk/failures.js";
export { backoff, RigidLive } from "./sdk/rigid-client.js";

/**
 * @typedef {object} Filter What a filtered track has beside what every MediaStreamTrack has.
 *
 * Events of the track, each with a `detail`: "phase" (PhaseDetail), "source" ("camera" or "edited": what it shows from
 * now on), "stats" (Stats, each second).
 * @property {(edits: Edits, rampMs?: number, face?: number | null) => Promise<Ack | null>} setEdits
 *   changes the named attributes; null where it is noted for the next connection. Rejects what is not on offer.
 * @property {(track: MediaStreamTrack) => Promise<void>} replaceCamera goes on with another camera
 * @property {() => Edits} getEdits
 * @property {() => Phase} getPhase
 * @property {() => "camera" | "edited"} getSource
 * @property {() => string | null} getSessionId for REST, and for viewers
 */

/** @typedef {MediaStreamTrack & Filter} FilteredTrack */

/**
 * The edited twin of a camera track, for any library that publishes a MediaStreamTrack.
 *
 *     const [camera] = (await navigator.mediaDevices.getUserMedia({ video: true })).getVideoTracks();
 *     const filtered = await filterTrack(camera, { server: "https://faces.example.org", edits: { smile: 0.8 } });
 *     peer.addTrack(filtered);
 *     await filtered.setEdits({ smile: 0, age: 1 }, 400);
 *     filtered.stop(); // the camera's own track is left to its owner
 *
 * While the server is away or its answer is late, the track shows the camera's own picture, and it reconnects by
 * itself, longer waits between the tries. It rejects, with a Failure, only what no patience mends: wrong edits, a wrong
 * key, a browser without WebRTC.
 *
 * @param {MediaStreamTrack} camera
 * @param {object} [given]
 * @param {string} [given.server] the server's address; without it the one that the page came from
 * @param {Edits} [given.edits]
 * @param {string | null} [given.key] what the server was given as `--api-key`
 * @param {number} [given.waitMs] how long to wait for the first edited picture before the camera's own will do
 * @param {object} [given.options] how the session works, as POST /api/v1/sessions takes it
 * @returns {Promise<FilteredTrack>}
 */
export async function filterTrack(camera, { server, edits = {}, key = null, waitMs = 5_000, options } = {}) {
  if (camera?.kind !== "video") throw new TypeError("filterTrack takes a video track.");
  if (!globalThis.RTCPeerConnection) throw new Failure("unsupported");
  const live = new RigidLive({ api: new Api({ base: server, key }), persistent: true, options });
  const filter = new TrackFilter(camera, live);
  const failure = await filter.begin(edits, waitMs);
  if (!failure) return filter.track;
  filter.track.stop();
  throw new Failure(failure.code, failure.text);
}

/** Ties a connection to a mixer, and both to the track that comes out. */
class TrackFilter {
  #live;
  #camera;
  /** @type {"camera" | "edited"} */
  #source = "camera";
  /** @type {ReturnType<typeof makeMixer>} */
  #mixer;
  /** @type {(source: "edited") => void} */
  #onEdited = () => undefined;
  /** @type {Described | null} */
  #final = null;

  /** @param {MediaStreamTrack} camera @param {RigidLive} live */
  constructor(camera, live) {
    this.#live = live;
    this.#camera = camera;
    this.#mixer = makeMixer((source) => this.#sourceChanged(source));
    this.#mixer.useCamera(camera);
    this.track = this.#dress(this.#mixer.track);
    live.addEventListener("track", (event) => this.#mixer.useEdited(detailOf(event).getVideoTracks()[0]));
    live.addEventListener("phase", (event) => this.#phaseChanged(detailOf(event)));
    live.addEventListener("message", (event) => {
      if (detailOf(event).type === "stats") this.#tell("stats", detailOf(event));
    });
    camera.addEventListener("ended", () => this.#stop(), { once: true });
  }

  /**
   * Connects, and waits until the track shows what it is for, or may be given out as it is.
   * @param {Edits} edits @param {number} waitMs @returns {Promise<Described | null>} what no patience mends
   */
  async begin(edits, waitMs) {
    const isEdited = new Promise((resolve) => (this.#onEdited = resolve));
    const isConnected = this.#live.start(new MediaStream([this.#camera]), edits).then(() => {
      if (this.#live.phase === "live") return isEdited;
      return null;
    });
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    const isLate = new Promise((resolve) => (timer = setTimeout(resolve, waitMs)));
    await Promise.race([isConnected, isLate]);
    clearTimeout(timer);
    return this.#final;
  }

  /** @param {PhaseDetail} detail */
  #phaseChanged(detail) {
    if (detail.phase !== "live") this.#mixer.onLost();
    if (detail.phase === "failed" && detail.failure && FINAL.includes(detail.failure.code)) {
      this.#final = detail.failure;
    }
    this.#tell("phase", detail);
  }

  /** @param {"camera" | "edited"} source */
  #sourceChanged(source) {
    this.#source = source;
    if (source === "edited") this.#onEdited(source);
    this.#tell("source", source);
  }

  /** @param {string} name @param {unknown} detail */
  #tell(name, detail) {
    if (this.track) emit(this.track, name, detail);
  }

  /** @param {MediaStreamTrack} camera */
  async #replaceCamera(camera) {
    this.#camera = camera;
    this.#mixer.useCamera(camera);
    await this.#live.replaceCamera(new MediaStream([camera]));
  }

  #stop() {
    this.#live.stop();
    this.#mixer.close();
  }

  /** @param {MediaStreamTrack} track @returns {FilteredTrack} */
  #dress(track) {
    return Object.assign(track, {
      setEdits: (/** @type {Edits} */ edits, rampMs = 300, /** @type {number | null} */ face = null) =>
        this.#live.set(edits, rampMs, face),
      replaceCamera: (/** @type {MediaStreamTrack} */ camera) => this.#replaceCamera(camera),
      getEdits: () => this.#live.edits,
      getPhase: () => this.#live.phase,
      getSource: () => this.#source,
      getSessionId: () => this.#live.sessionId,
      stop: () => this.#stop(),
    });
  }
}
