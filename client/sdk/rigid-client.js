// The connection: a camera stream goes in, the edited stream comes out, and it is kept alive in between.
import { Api } from "./api.js";
import { detailOf, emit } from "./events.js";
import { describe, Failure, isStarting } from "./failures.js";
import { SessionLink } from "./session-link.js";

/** @import { Ack, Edits, Phase, PhaseDetail } from "./types.js" */

const READY_POLL_MS = 1_500;
const RETRY_LIMIT = 8;

/** What no patience mends. */
export const FINAL = ["session-ended", "key-needed", "rejected", "unsupported", "page-broken"];

/**
 * Wait before try number `attempt` (0, 1, …) in ms: 1 s doubled each time up to 15 s, ± 20 % so that clients spread.
 * @param {number} attempt
 */
export function backoff(attempt, random = Math.random) {
  return Math.round(Math.min(15_000, 1_000 * 2 ** attempt) * (0.8 + 0.4 * random()));
}

/**
 * Edits a camera stream live.
 *
 *     const live = new RigidLive();
 *     live.addEventListener("track", ({ detail }) => { video.srcObject = detail; });
 *     await live.start(await navigator.mediaDevices.getUserMedia({ video: true }), { smile: 0.8 });
 *     await live.set({ smile: 0, age: 0.5 }, 400);
 *     await live.stop();
 *
 * Events (`event.detail`): "phase" (PhaseDetail), "track" (MediaStream), "message" (the server's JSON: stats each
 * second, state, faces once `watchFaces` asks for them). Phases: idle, waiting (server not ready yet), connecting, live, reconnecting, failed.
 */
export class RigidLive extends EventTarget {
  /** @type {Phase} */
  phase = "idle";
  /** How the next session works, as POST /api/v1/sessions takes it. @type {object | undefined} */
  options;
  #api;
  #persistent;
  /** @type {MediaStream | null} */
  #media = null;
  /** @type {Edits} */
  #edits = {};
  #unacknowledged = 0;
  /** @type {SessionLink | null} */
  #link = null;
  #abort = new AbortController();
  #attempt = 0;
  #wasLive = false;
  /** @type {string | null} */
  #resumeToken = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #retryTimer;
  #left = () => this.#leave();
  #online = () => this.phase === "reconnecting" && this.retryNow();

  /**
   * @param {object} [given]
   * @param {Api} [given.api] the server; without it the one that the page came from
   * @param {boolean} [given.persistent] try again for good, from the first attempt on, whatever patience may mend
   * @param {object} [given.options]
   */
  constructor({ api = new Api(), persistent = false, options } = {}) {
    super();
    this.#api = api;
    this.#persistent = persistent;
    this.options = options;
  }

  get peer() {
    return this.#link?.peer ?? null;
  }

  get sessionId() {
    return this.#link?.session?.id ?? null;
  }

  /** What the attributes are heading for. @returns {Edits} */
  get edits() {
    return { ...this.#edits };
  }

  /**
   * Connects; resolves when live or failed (see "phase").
   * @param {MediaStream} media with a video track
   * @param {Edits} [edits]
   */
  async start(media, edits = {}) {
    await this.stop();
    globalThis.addEventListener?.("pagehide", this.#left);
    globalThis.addEventListener?.("online", this.#online);
    this.#media = media;
    this.#edits = { ...edits };
    await this.#connect("connecting");
  }

  /**
   * Changes the named attributes; resolves with the server's ack, null where it is only noted for the next connection.
   * @param {Edits} edits @param {number} [rampMs] time to the new strengths
   * @param {number | null} [face] the number of the face that they are for; null for all
   * @returns {Promise<Ack | null>}
   */
  async set(edits, rampMs = 300, face = null) {
    if (face === null) this.#edits = { ...this.#edits, ...edits };
    if (this.phase !== "live" || !this.#link) return null;
    this.#unacknowledged += 1;
    try {
      return await this.#link.set(edits, rampMs, face);
    } finally {
      this.#unacknowledged -= 1;
    }
  }

  /** Has the server tell where the faces are, as "message"; 0 for no more. @param {number} everyMs */
  async watchFaces(everyMs) {
    if (this.phase === "live") await this.#link?.watchFaces(everyMs);
  }

  /** Swaps the camera without a new session. @param {MediaStream} media */
  async replaceCamera(media) {
    this.#media = media;
    const sender = this.peer?.getSenders().find((one) => one.track?.kind === "video");
    await sender?.replaceTrack(media.getVideoTracks()[0]);
  }

  /** Ends the wait between two tries. */
  retryNow() {
    clearTimeout(this.#retryTimer);
    this.#attempt = 0;
    return this.#connect("reconnecting");
  }

  /** Ends the session here and on the server. */
  async stop() {
    globalThis.removeEventListener?.("pagehide", this.#left);
    globalThis.removeEventListener?.("online", this.#online);
    this.#wasLive = false;
    this.#attempt = 0;
    this.#resumeToken = null;
    const ended = this.#end();
    if (this.phase !== "idle") this.#enter("idle");
    await ended;
  }

  /** @param {"connecting" | "reconnecting"} phase */
  async #connect(phase) {
    this.#drop();
    const { signal } = (this.#abort = new AbortController());
    this.#enter(phase, { attempt: this.#attempt });
    try {
      await this.#whenReady(signal, phase);
      await this.#open(signal);
      this.#attempt = 0;
      this.#wasLive = true;
      this.#enter("live");
    } catch (error) {
      if (signal.aborted) return;
      this.#end();
      this.#onFailure(error);
    }
  }

  /** @param {AbortSignal} signal @param {Phase} phase */
  async #whenReady(signal, phase) {
    for (;;) {
      try {
        await this.#api.ready(signal);
        break;
      } catch (error) {
        if (signal.aborted || !isStarting(error)) throw error;
      }
      this.#enter("waiting", { failure: describe(new Failure("server-starting")) });
      await pause(READY_POLL_MS, signal);
    }
    if (this.phase !== phase) this.#enter(phase, { attempt: this.#attempt });
  }

  /** @param {AbortSignal} signal */
  async #open(signal) {
    const link = new SessionLink(this.#api, await this.#api.iceServers(signal));
    this.#link = link;
    link.addEventListener("track", (event) => emit(this, "track", detailOf(event)));
    link.addEventListener("message", (event) => this.#heard(detailOf(event)));
    link.addEventListener("lost", (event) => this.#lost(link, detailOf(event)));
    const body = {
      edits: this.#edits,
      ...(this.options && { options: this.options }),
      ...(this.#resumeToken && { resume_token: this.#resumeToken }),
    };
    const session = await link.open(/** @type {MediaStream} */ (this.#media), body, signal);
    this.#resumeToken = session.resume_token ?? null;
  }

  /** @param {{edits?: Edits}} message */
  #heard(message) {
    // What was set elsewhere must outlive a reconnection too; what is on its way there is newer than the message.
    if (message.edits && this.#unacknowledged === 0) this.#edits = { ...message.edits };
    emit(this, "message", message);
  }

  /** @param {SessionLink} link @param {Failure} failure */
  #lost(link, failure) {
    // While the attempt is still under way its own promise reports the failure.
    if (link !== this.#link || this.phase !== "live") return;
    this.#drop();
    this.#onFailure(failure);
  }

  /** @param {unknown} error */
  #onFailure(error) {
    const failure = describe(error);
    if (isStarting(error)) return void this.#connect("connecting");
    if (!this.#isWorthAnotherTry(failure)) {
      this.#enter("failed", { failure });
      return;
    }
    const retryInMs = backoff(this.#attempt++);
    this.#enter("reconnecting", { failure, retryInMs, attempt: this.#attempt });
    this.#retryTimer = setTimeout(() => this.#connect("reconnecting"), retryInMs);
  }

  /** @param {import("./types.js").Described} failure */
  #isWorthAnotherTry(failure) {
    if (this.#persistent) return !FINAL.includes(failure.code);
    return this.#wasLive && failure.retry && this.#attempt < RETRY_LIMIT;
  }

  /** Lets go of the link without a word to the server; returns the id of the session it carried. */
  #drop() {
    const link = this.#detach();
    link?.close();
    return link?.session?.id ?? null;
  }

  /** Ends the session on the server, then the link: the other way round the server would have noticed by itself. */
  async #end() {
    const link = this.#detach();
    try {
      if (link?.session) await this.#api.deleteSession(link.session.id);
    } catch {
      // Gone already, or out of reach: then the server's own watchdog ends it.
    } finally {
      link?.close();
    }
  }

  #detach() {
    clearTimeout(this.#retryTimer);
    const link = this.#link;
    this.#link = null;
    this.#abort.abort();
    return link;
  }

  #leave() {
    const id = this.#drop();
    if (id) this.#api.closeOnLeave(id);
    if (this.phase !== "idle") this.#enter("idle");
  }

  /** @param {Phase} phase @param {Omit<PhaseDetail, "phase">} [detail] */
  #enter(phase, detail = {}) {
    this.phase = phase;
    emit(this, "phase", { phase, ...detail });
  }
}

/** @param {number} milliseconds @param {AbortSignal} signal @returns {Promise<void>} */
function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => (clearTimeout(timer), reject(signal.reason)), { once: true });
  });
}
