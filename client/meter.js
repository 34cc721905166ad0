// How fast and how late the picture is, measured where it is seen.

const WINDOW_MS = 3_000;

/** Counts the frames that a <video> really shows. */
export class FrameRate {
  #times = [];
  #began = 0;
  #video;
  #running = false;

  constructor(video) {
    this.#video = video;
  }

  /** Calls `onFrame` with each frame shown. Without requestVideoFrameCallback nothing is counted. */
  start(onFrame = () => undefined) {
    this.#times = [];
    this.#began = performance.now();
    if (this.#running || !this.#video.requestVideoFrameCallback) return;
    this.#running = true;
    const step = (now) => {
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

/** What the network and the browser add: `{roundTripMs, bufferMs, decodeMs, framesPerSecond, framesDecoded}`. */
export class Transport {
  #before = null;

  async read(peer) {
    const report = await peer.getStats();
    const entries = [...report.values()];
    const video = entries.find((one) => one.type === "inbound-rtp" && one.kind === "video") ?? {};
    const pair = entries.find((one) => one.type === "candidate-pair" && one.nominated && one.state === "succeeded");
    const before = this.#before ?? {};
    this.#before = video;
    return {
      roundTripMs: (pair?.currentRoundTripTime ?? 0) * 1_000,
      bufferMs: meanSince(before, video, "jitterBufferDelay", "jitterBufferEmittedCount"),
      decodeMs: meanSince(before, video, "totalDecodeTime", "framesDecoded"),
      framesPerSecond: video.framesPerSecond ?? null,
      framesDecoded: video.framesDecoded ?? 0,
    };
  }
}

// getStats sums up since the start; the last second is what counts now.
function meanSince(before, now, sum, count) {
  const frames = (now[count] ?? 0) - (before[count] ?? 0);
  return frames > 0 ? (((now[sum] ?? 0) - (before[sum] ?? 0)) / frames) * 1_000 : 0;
}

/** From the camera's picture leaving this page to the edited one on screen, ms; null until the server has measured. */
export function delayMs(serverMs, transport) {
  if (serverMs === null || !transport) return null;
  return serverMs + transport.roundTripMs + transport.bufferMs + transport.decodeMs;
}

/** A smoothed number: quick to start, calm to look at. */
export class Calm {
  value = null;

  add(next) {
    if (next === null) return this.value;
    this.value = this.value === null ? next : this.value + 0.35 * (next - this.value);
    return this.value;
  }

  clear() {
    this.value = null;
  }
}
