// How fast and how late the picture is, measured where it is seen.

const WINDOW_MS = 3_000;

/** Counts the frames that a <video> really shows. */
export class FrameRate {
  /** @type {number[]} */
  #times = [];
  #began = 0;
  #video;
  #running = false;

  /** @param {HTMLVideoElement} video */
  constructor(video) {
    this.#video = video;
  }

  /**
   * Calls `onFrame` with each frame shown. Without requestVideoFrameCallback nothing is counted.
   * @param {(now: number) => void} [onFrame]
   */
  start(onFrame = () => undefined) {
    this.#times = [];
    this.#began = performance.now();
    if (this.#running || !this.#video.requestVideoFrameCallback) return;
    this.#running = true;
    const step = (/** @type {number} */ now) => {
      if (!this.#running) return;
      this.#times.push(now);
      onFrame(now);
      this.#video.requestVideoFrameCallback(step);
    };
    this.#video.requestVideoFrameCallback(step);
  }

  stop() {
    this.#running = false;
  }

  /** Frames a second over the last three seconds; null in the first one, and where they cannot be counted. */
  get value() {
    const now = performance.now();
    const span = Math.min(WINDOW_MS, now - this.#began);
    if (!this.#running || span < 1_000) return null;
    this.#times = this.#times.filter((time) => time >= now - span);
    return (this.#times.length * 1_000) / span;
  }
}

/**
 * @typedef {object} Reading What the network and the browser add, over the time since the last reading.
 * @property {number} roundTripMs
 * @property {number} bufferMs
 * @property {number} decodeMs
 * @property {number | null} framesPerSecond
 * @property {number} framesDecoded since the start
 * @property {number} lost share of the packets to here that never came, 0 to 1
 * @property {number} lostOut share of the packets from here that never came, 0 to 1; as the server reports it
 * @property {string} limited what holds the camera's picture down: "none", "cpu", "bandwidth" or "other"
 * @property {number} sentHeight lines of the picture sent
 * @property {boolean} relayed by a TURN server
 * @property {string} protocol "udp", "tcp" or ""
 * @property {number} bitsIn a second
 * @property {number} bitsOut a second
 */

export class Transport {
  /** @type {Record<string, any>} */
  #before = {};

  /** @param {RTCPeerConnection} peer @returns {Promise<Reading>} */
  async read(peer) {
    const entries = /** @type {Record<string, any>[]} */ ([...(await peer.getStats()).values()]);
    const now = gather(entries);
    const reading = compare(this.#before, now);
    this.#before = now;
    return reading;
  }
}

/** @param {Record<string, any>[]} entries @returns {Record<string, any>} */
function gather(entries) {
  const of = (/** @type {string} */ type) => entries.find((one) => one.type === type && one.kind === "video") ?? {};
  const pair = entries.find((one) => one.type === "candidate-pair" && one.nominated && one.state === "succeeded") ?? {};
  const local = entries.find((one) => one.id === pair.localCandidateId) ?? {};
  return { inbound: of("inbound-rtp"), outbound: of("outbound-rtp"), far: of("remote-inbound-rtp"), pair, local };
}

/** @param {Record<string, any>} before @param {Record<string, any>} now @returns {Reading} */
function compare(before, now) {
  const { inbound, outbound, far, pair, local } = now;
  const came = since(before.inbound, inbound, "packetsReceived");
  const missed = Math.max(0, since(before.inbound, inbound, "packetsLost"));
  return {
    roundTripMs: (pair.currentRoundTripTime ?? 0) * 1_000,
    bufferMs: meanSince(before.inbound, inbound, "jitterBufferDelay", "jitterBufferEmittedCount"),
    decodeMs: meanSince(before.inbound, inbound, "totalDecodeTime", "framesDecoded"),
    framesPerSecond: inbound.framesPerSecond ?? null,
    framesDecoded: inbound.framesDecoded ?? 0,
    lost: missed / Math.max(1, came + missed),
    lostOut: far.fractionLost ?? 0,
    limited: outbound.qualityLimitationReason ?? "none",
    sentHeight: outbound.frameHeight ?? 0,
    relayed: local.candidateType === "relay",
    protocol: local.protocol ?? "",
    bitsIn: rateSince(before.inbound, inbound, "bytesReceived"),
    bitsOut: rateSince(before.outbound, outbound, "bytesSent"),
  };
}

/** @param {Record<string, any> | undefined} before @param {Record<string, any>} now @param {string} name */
function since(before, now, name) {
  return (now[name] ?? 0) - (before?.[name] ?? 0);
}

/**
 * getStats sums up since the start; what came since the last reading is what counts now. Seconds a piece, in ms.
 * @param {Record<string, any> | undefined} before @param {Record<string, any>} now
 * @param {string} sum @param {string} count
 */
function meanSince(before, now, sum, count) {
  const frames = since(before, now, count);
  return frames > 0 ? (since(before, now, sum) / frames) * 1_000 : 0;
}

/** Bits a second. @param {Record<string, any> | undefined} before @param {Record<string, any>} now @param {string} name */
function rateSince(before, now, name) {
  const seconds = since(before, now, "timestamp") / 1_000;
  return before?.timestamp && seconds > 0 ? (8 * since(before, now, name)) / seconds : 0;
}

/**
 * From the camera's picture leaving this page to the edited one on screen, ms; null until the server has measured.
 * @param {number | null} serverMs
 * @param {Pick<Reading, "roundTripMs" | "bufferMs" | "decodeMs"> | null} transport
 */
export function delayMs(serverMs, transport) {
  if (serverMs === null || !transport) return null;
  return serverMs + transport.roundTripMs + transport.bufferMs + transport.decodeMs;
}

/** A smoothed number: quick to start, calm to look at. */
export class CalmNumber {
  /** @type {number | null} */
  value = null;

  /** @param {number | null} next */
  add(next) {
    if (next === null) return this.value;
    this.value = this.value === null ? next : this.value + 0.35 * (next - this.value);
    return this.value;
  }

  clear() {
    this.value = null;
  }
}
