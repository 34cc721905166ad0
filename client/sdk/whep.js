// Watching a session's output: WebRTC-HTTP egress (draft-ietf-wish-whep), reconnecting for as long as it is watched.
import { ApiError } from "./api.js";
import { emit } from "./events.js";
import { describe, Failure } from "./failures.js";
import { preferH264, waitForCandidates } from "./session-link.js";
import { backoff } from "./rigid-client.js";

/** @import { Api } from "./api.js" */

const CONNECT_MS = 15_000;
const BROKEN_MS = 5_000;

/**
 * Events (`event.detail`): "track" (MediaStream), "phase" ({phase, failure?, retryInMs?}): connecting, live, waiting
 * (the session is not there, or went away) or idle.
 */
export class WhepViewer extends EventTarget {
  #api;
  #session;
  /** @type {RTCPeerConnection | null} */
  #peer = null;
  /** @type {string | null} */
  #resource = null;
  #attempt = 0;
  #running = false;
  #left = () => this.stop();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {Api} api @param {string} session its id */
  constructor(api, session) {
    super();
    this.#api = api;
    this.#session = session;
  }

  get peer() {
    return this.#peer;
  }

  start() {
    this.#running = true;
    globalThis.addEventListener?.("pagehide", this.#left);
    return this.#connect();
  }

  stop() {
    this.#running = false;
    globalThis.removeEventListener?.("pagehide", this.#left);
    this.#drop();
    emit(this, "phase", { phase: "idle" });
  }

  async #connect() {
    this.#drop();
    emit(this, "phase", { phase: "connecting" });
    const iceServers = await this.#iceServers();
    if (!this.#running) return;
    const peer = (this.#peer = new RTCPeerConnection({ iceServers }));
    try {
      preferH264(peer.addTransceiver("video", { direction: "recvonly" }));
      peer.addTransceiver("audio", { direction: "recvonly" });
      peer.ontrack = ({ track, streams }) =>
        track.kind === "video" && emit(this, "track", streams[0] ?? new MediaStream([track]));
      peer.onconnectionstatechange = () => this.#stateChanged(peer);
      this.#expect(peer, CONNECT_MS);
      await this.#negotiate(peer);
    } catch (error) {
      this.#lost(peer, error);
    }
  }

  async #iceServers() {
    try {
      return await this.#api.iceServers();
    } catch {
      return []; // the next request tells what is wrong, and tries again
    }
  }

  /** @param {RTCPeerConnection} peer */
  async #negotiate(peer) {
    await peer.setLocalDescription(await peer.createOffer());
    await waitForCandidates(peer);
    const response = await this.#api.fetch(`whep/${encodeURIComponent(this.#session)}`, {
      method: "POST",
      headers: { "Content-Type": "application/sdp", Accept: "application/sdp" },
      body: peer.localDescription?.sdp,
    });
    this.#resource = new URL(response.headers.get("Location") ?? "", response.url).href;
    const sdp = await response.text();
    if (peer === this.#peer) await peer.setRemoteDescription({ type: "answer", sdp });
  }

  /** @param {RTCPeerConnection} peer */
  #stateChanged(peer) {
    if (peer !== this.#peer) return;
    clearTimeout(this.#timer);
    if (peer.connectionState === "connected") {
      this.#attempt = 0;
      emit(this, "phase", { phase: "live" });
    } else if (["failed", "closed"].includes(peer.connectionState)) this.#lost(peer, new Failure("connection-lost"));
    else this.#expect(peer, peer.connectionState === "disconnected" ? BROKEN_MS : CONNECT_MS);
  }

  /** Gives a connection so long to come about, or to come back. @param {RTCPeerConnection} peer @param {number} milliseconds */
  #expect(peer, milliseconds) {
    const code = milliseconds === BROKEN_MS ? "connection-lost" : "no-route";
    this.#timer = setTimeout(() => this.#lost(peer, new Failure(code)), milliseconds);
  }

  /** @param {RTCPeerConnection} peer @param {unknown} error */
  #lost(peer, error) {
    if (peer !== this.#peer || !this.#running) return;
    this.#drop();
    const retryInMs = backoff(this.#attempt++);
    const isGone = error instanceof ApiError && error.status === 404;
    emit(this, "phase", { phase: "waiting", failure: describe(isGone ? new Failure("no-session") : error), retryInMs });
    this.#timer = setTimeout(() => this.#connect(), retryInMs);
  }

  #drop() {
    clearTimeout(this.#timer);
    const peer = this.#peer;
    this.#peer = null;
    if (peer) peer.onconnectionstatechange = null;
    peer?.close();
    if (!this.#resource) return;
    fetch(this.#resource, { method: "DELETE", headers: this.#api.headers(), keepalive: true }).catch(() => undefined);
    this.#resource = null;
  }
}
