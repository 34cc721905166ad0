// One peer connection to the server: offer, answer, the `control` channel, and noticing when it dies.
import { aim } from "./api.js";
import { routeProblem } from "./diagnosis.js";
import { emit } from "./events.js";
import { Failure } from "./failures.js";

/** @import { Api } from "./api.js" */
/** @import { Ack, Edits, Session } from "./types.js" */

/** @typedef {{resolve: (ack: Ack) => void, reject: (failure: Failure) => void, timer: ReturnType<typeof setTimeout>}} Waiting */

const GATHER_MS = 2_000; // a dead STUN server must not hold up the call
const CONNECT_MS = 15_000;
const BROKEN_MS = 5_000; // "disconnected" often heals by itself
const SILENT_MS = 10_000; // the server speaks each second
const ACK_MS = 5_000;
/** What a camera's video begins with: from a browser's own beginning it takes half a minute to become sharp. */
const START_KBITS = 1_200;

/**
 * Events: "track" (detail: MediaStream), "message" (detail: the server's JSON), "lost" (detail: Failure).
 */
export class SessionLink extends EventTarget {
  /** @type {Session | null} */
  session = null;
  #api;
  #peer;
  #channel;
  /** @type {Map<string, Waiting>} */
  #pending = new Map();
  #nextId = 1;
  /** @type {Record<string, ReturnType<typeof setTimeout>>} */
  #timers = {};
  #closed = false;
  #hasConnected = false;
  /** Rejects once the link is lost or closed, so that nobody waits for it in vain. @type {Promise<never>} */
  #ended;
  /** @type {(failure: Failure) => void} */
  #end = () => undefined;

  /** @param {Api} api @param {RTCIceServer[]} iceServers */
  constructor(api, iceServers) {
    super();
    this.#api = api;
    this.#ended = new Promise((_, reject) => (this.#end = reject));
    this.#ended.catch(() => undefined); // most links end with nobody waiting
    this.#peer = new RTCPeerConnection({ iceServers });
    this.#channel = this.#peer.createDataChannel("control");
    this.#peer.ontrack = (event) => emit(this, "track", event.streams[0] ?? new MediaStream([event.track]));
    this.#peer.onconnectionstatechange = () => this.#connectionChanged();
    this.#channel.onmessage = (event) => this.#onMessage(event.data);
    this.#channel.onopen = () => this.#heard();
    this.#channel.onclose = () => this.#lose(new Failure("connection-lost"));
  }

  get peer() {
    return this.#peer;
  }

  /**
   * Sends `media`, asks for a session, and resolves with the server's answer once video can flow.
   * @param {MediaStream} media @param {object} body @param {AbortSignal} signal @returns {Promise<Session>}
   */
  async open(media, body, signal) {
    const close = () => this.close();
    signal.addEventListener("abort", close);
    try {
      for (const track of media.getTracks()) this.#send(track, media);
      const session = await this.#negotiate(body, signal);
      await Promise.race([this.#waitForConnection(), this.#ended]);
      return session;
    } finally {
      signal.removeEventListener("abort", close);
    }
  }

  /**
   * Sends edits; resolves with the ack, rejects with what the server objected to.
   * @param {Edits} edits @param {number} rampMs @param {number | null} face the one that they are for; null for all
   * @returns {Promise<Ack>}
   */
  async set(edits, rampMs, face) {
    if (this.#channel.readyState !== "open") {
      if (!this.session) throw new Failure("connection-lost");
      return { ok: true, ...(await this.#api.patchEdits(this.session.id, edits, rampMs, face)) };
    }
    return this.#ask({ type: "set", ...aim(edits, face), ramp_ms: rampMs });
  }

  /** Has the server tell where the faces are, as "message"; 0 for no more. @param {number} everyMs */
  async watchFaces(everyMs) {
    if (this.#channel.readyState === "connecting") {
      const opened = new Promise((resolve) => this.#channel.addEventListener("open", resolve, { once: true }));
      await Promise.race([opened, this.#ended]);
    }
    await this.#ask({ type: "faces", every_ms: everyMs });
  }

  /** Sends a message that is acknowledged. @param {object} message @returns {Promise<Ack>} */
  #ask(message) {
    const id = String(this.#nextId++);
    /** @type {Promise<Ack>} */
    const ack = new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#settle(id, { ok: false, message: "No answer came." }), ACK_MS);
      this.#pending.set(id, { resolve, reject, timer });
    });
    this.#channel.send(JSON.stringify({ ...message, id }));
    return ack;
  }

  close(failure = new Failure("connection-lost")) {
    this.#closed = true;
    this.#end(failure);
    for (const timer of Object.values(this.#timers)) clearTimeout(timer);
    for (const id of [...this.#pending.keys()]) this.#settle(id, { ok: false, message: "The link was closed." });
    this.#peer.close();
  }

  /** @param {MediaStreamTrack} track @param {MediaStream} media */
  #send(track, media) {
    if (track.kind === "video") track.contentHint = "motion";
    const transceiver = this.#peer.addTransceiver(track, { direction: "sendrecv", streams: [media] });
    if (track.kind === "video") preferH264(transceiver);
  }

  /** @param {object} body @param {AbortSignal} signal */
  async #negotiate(body, signal) {
    await this.#peer.setLocalDescription(await this.#peer.createOffer());
    await waitForCandidates(this.#peer);
    const { sdp, type } = /** @type {RTCSessionDescription} */ (this.#peer.localDescription);
    const session = await this.#api.createSession({ sdp, type, ...body }, signal);
    this.session = session;
    await this.#peer.setRemoteDescription({ sdp: setStartBitrate(session.sdp, START_KBITS), type: session.type });
    return session;
  }

  /** @returns {Promise<void>} */
  #waitForConnection() {
    this.#timers.connect = setTimeout(() => this.#lose(this.#noRoute()), CONNECT_MS);
    return new Promise((resolve) => {
      const check = () => {
        if (this.#peer.connectionState !== "connected") return;
        this.#hasConnected = true;
        clearTimeout(this.#timers.connect);
        resolve();
      };
      this.#peer.addEventListener("connectionstatechange", check);
      check();
    });
  }

  #connectionChanged() {
    clearTimeout(this.#timers.broken);
    const state = this.#peer.connectionState;
    if (state === "failed") this.#lose(this.#hasConnected ? new Failure("connection-lost") : this.#noRoute());
    if (state === "disconnected") this.#after("broken", BROKEN_MS);
  }

  #noRoute() {
    const { localDescription, remoteDescription } = this.#peer;
    const { hostname } = new URL(this.#api.base);
    return new Failure("no-route", routeProblem(localDescription?.sdp ?? "", remoteDescription?.sdp ?? "", hostname));
  }

  /** @param {string} text */
  #onMessage(text) {
    this.#heard();
    const message = JSON.parse(text);
    if (message.type === "ack") this.#settle(message.id, message);
    else if (message.type === "error" && this.#pending.has(message.id)) this.#settle(message.id, { ...message, ok: false });
    else if (message.type === "session_ended") this.#lose(explainEnd(message));
    else emit(this, "message", message);
  }

  #heard() {
    this.#after("silent", SILENT_MS);
  }

  /** @param {string} name @param {number} milliseconds */
  #after(name, milliseconds) {
    clearTimeout(this.#timers[name]);
    this.#timers[name] = setTimeout(() => this.#lose(new Failure("connection-lost")), milliseconds);
  }

  /** @param {string} id @param {Ack & {message?: string, error?: {message: string}}} message */
  #settle(id, message) {
    const waiting = this.#pending.get(id);
    if (!waiting) return;
    this.#pending.delete(id);
    clearTimeout(waiting.timer);
    if (message.ok) waiting.resolve(message);
    else waiting.reject(new Failure("rejected", message.error?.message ?? message.message ?? "The server objected."));
  }

  /** @param {Failure} failure */
  #lose(failure) {
    if (this.#closed) return;
    this.close(failure);
    emit(this, "lost", failure);
  }
}

// Safari shows what other codecs send as black often enough; H264 is the one that every device decodes in hardware.
/** @param {RTCRtpTransceiver} transceiver */
export function preferH264(transceiver) {
  const codecs = RTCRtpReceiver.getCapabilities?.("video")?.codecs;
  if (!codecs || !transceiver.setCodecPreferences) return;
  const isH264 = (/** @type {RTCRtpCodec} */ codec) => codec.mimeType.toLowerCase() === "video/h264";
  transceiver.setCodecPreferences([...codecs.filter(isH264), ...codecs.filter((codec) => !isH264(codec))]);
}

/**
 * An answer that has the browser begin to send video at so many kbit/s, in the way that Chromium understands and the
 * others pass over; what the network takes is found from there.
 * @param {string} sdp @param {number} kbits
 */
export function setStartBitrate(sdp, kbits) {
  const [head, ...media] = sdp.split(/^(?=m=)/m);
  const hint = `x-google-start-bitrate=${kbits}`;
  /** @param {string} section */
  const hinted = (section) =>
    section.replace(/^a=rtpmap:(\d+) (?:H264|VP8|VP9|AV1)\/.*$(?:\r\n)?/gim, (line, payload) => {
      const parameters = new RegExp(`^a=fmtp:${payload} `, "m");
      return parameters.test(section) ? line : `${line}a=fmtp:${payload} ${hint}\r\n`;
    }).replace(/^a=fmtp:\d+ (?!x-google|apt=).*?(?=\r?$)/gm, `$&;${hint}`);
  return [head, ...media.map((section) => (section.startsWith("m=video") ? hinted(section) : section))].join("");
}

/** @param {RTCPeerConnection} peer @returns {Promise<void>} */
export function waitForCandidates(peer) {
  return new Promise((resolve) => {
    if (peer.iceGatheringState === "complete") resolve();
    peer.addEventListener("icegatheringstatechange", () => peer.iceGatheringState === "complete" && resolve());
    setTimeout(resolve, GATHER_MS);
  });
}

/**
 * What the server said when it ended the session, as a failure. `come_back`: nobody asked for the end.
 * @param {{message?: string, come_back?: boolean}} said
 */
export function explainEnd({ message, come_back: comeBack }) {
  return comeBack ? new Failure("connection-lost") : new Failure("session-ended", message);
}
