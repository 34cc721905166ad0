// One video track that shows the edited picture while there is one, and the camera's own otherwise; never black.

/** An edited picture older than this no longer stands for the present. */
export const STALE_MS = 1_500;
const DRAW_EVERY_MS = 33;

/** Which of the two sources is due. Times in ms, all of one clock. */
export class Choice {
  #editedAt = Number.NEGATIVE_INFINITY;

  /** An edited picture came. @param {number} now */
  onEdited(now) {
    this.#editedAt = now;
  }

  /** None will come from where the last one came. */
  onLost() {
    this.#editedAt = Number.NEGATIVE_INFINITY;
  }

  /** @param {number} now @returns {"camera" | "edited"} */
  at(now) {
    return now - this.#editedAt > STALE_MS ? "camera" : "edited";
  }
}

/**
 * @typedef {object} Mixer
 * @property {MediaStreamTrack} track what comes out
 * @property {(track: MediaStreamTrack) => void} useCamera
 * @property {(track: MediaStreamTrack) => void} useEdited
 * @property {() => void} onLost back to the camera at once
 * @property {() => void} close
 */

/** @param {(source: "camera" | "edited") => void} onSource called when the source shown changes @returns {Mixer} */
export function makeMixer(onSource) {
  return canPassFrames() ? new FrameMixer(onSource) : new CanvasMixer(onSource);
}

function canPassFrames() {
  return "MediaStreamTrackProcessor" in globalThis && "MediaStreamTrackGenerator" in globalThis;
}

/** Tells of each change of the source shown. */
class Teller {
  /** @type {"camera" | "edited" | null} */
  #shown = null;
  #onSource;

  /** @param {(source: "camera" | "edited") => void} onSource */
  constructor(onSource) {
    this.#onSource = onSource;
  }

  /** @param {"camera" | "edited"} source */
  tell(source) {
    if (source === this.#shown) return;
    this.#shown = source;
    this.#onSource(source);
  }
}

/**
 * Passes frames on as they are (Chrome, Edge), in tabs out of sight too.
 * https://www.w3.org/TR/mediacapture-transform/, as these browsers have it.
 */
class FrameMixer {
  #choice = new Choice();
  #teller;
  #generator;
  #writer;
  /** @type {Record<string, ReadableStreamDefaultReader<VideoFrame>>} */
  #readers = {};

  /** @param {(source: "camera" | "edited") => void} onSource */
  constructor(onSource) {
    this.#teller = new Teller(onSource);
    const Generator = /** @type {any} */ (globalThis).MediaStreamTrackGenerator;
    this.#generator = new Generator({ kind: "video" });
    this.#writer = /** @type {WritableStream<VideoFrame>} */ (this.#generator.writable).getWriter();
  }

  /** @returns {MediaStreamTrack} */
  get track() {
    return this.#generator;
  }

  /** @param {MediaStreamTrack} track */
  useCamera(track) {
    this.#pump("camera", track);
  }

  /** @param {MediaStreamTrack} track */
  useEdited(track) {
    this.#pump("edited", track);
  }

  onLost() {
    this.#choice.onLost();
  }

  close() {
    for (const reader of Object.values(this.#readers)) reader.cancel().catch(() => undefined);
    this.#readers = {};
    stop(this.#generator);
  }

  /** @param {"camera" | "edited"} source @param {MediaStreamTrack} track */
  async #pump(source, track) {
    this.#readers[source]?.cancel().catch(() => undefined);
    const Processor = /** @type {any} */ (globalThis).MediaStreamTrackProcessor;
    /** @type {ReadableStreamDefaultReader<VideoFrame>} */
    const reader = new Processor({ track, maxBufferSize: 1 }).readable.getReader();
    this.#readers[source] = reader;
    for (;;) {
      const { value: frame, done } = await reader.read();
      if (done || this.#readers[source] !== reader) {
        frame?.close();
        return;
      }
      this.#pass(source, frame);
    }
  }

  /** @param {"camera" | "edited"} source @param {VideoFrame} frame */
  #pass(source, frame) {
    const now = performance.now();
    if (source === "edited") this.#choice.onEdited(now);
    if (this.#choice.at(now) === source && (this.#writer.desiredSize ?? 0) > 0) {
      // The two sources count time from different beginnings; an encoder wants it to go on.
      this.#writer.write(new VideoFrame(frame, { timestamp: Math.round(now * 1_000) })).catch(() => undefined);
      this.#teller.tell(source);
    }
    frame.close();
  }
}

/** Draws the pictures on a canvas (other browsers); in a tab out of sight they allow that once a second. */
class CanvasMixer {
  #choice = new Choice();
  #teller;
  #canvas = document.createElement("canvas");
  #context;
  #track;
  #timer;
  #videos = { camera: hiddenVideo(), edited: hiddenVideo() };
  #counts = { camera: 0, edited: 0 };

  /** @param {(source: "camera" | "edited") => void} onSource */
  constructor(onSource) {
    this.#teller = new Teller(onSource);
    this.#context = /** @type {CanvasRenderingContext2D} */ (this.#canvas.getContext("2d"));
    this.#track = this.#canvas.captureStream().getVideoTracks()[0];
    this.#timer = setInterval(() => this.#draw(), DRAW_EVERY_MS);
  }

  get track() {
    return this.#track;
  }

  /** @param {MediaStreamTrack} track */
  useCamera(track) {
    show(this.#videos.camera, track);
  }

  /** @param {MediaStreamTrack} track */
  useEdited(track) {
    show(this.#videos.edited, track);
  }

  onLost() {
    this.#videos.edited.srcObject = null;
    this.#choice.onLost();
  }

  close() {
    clearInterval(this.#timer);
    for (const video of Object.values(this.#videos)) video.srcObject = null;
    stop(this.#track);
  }

  #draw() {
    const now = performance.now();
    const isNew = { camera: this.#hasMoved("camera"), edited: this.#hasMoved("edited") };
    if (isNew.edited) this.#choice.onEdited(now);
    const source = this.#choice.at(now);
    if (!isNew[source]) return;
    const video = this.#videos[source];
    if (this.#canvas.width !== video.videoWidth || this.#canvas.height !== video.videoHeight) {
      this.#canvas.width = video.videoWidth;
      this.#canvas.height = video.videoHeight;
    }
    this.#context.drawImage(video, 0, 0);
    this.#teller.tell(source);
  }

  /** Whether a video shows another picture than at the last call. @param {"camera" | "edited"} source */
  #hasMoved(source) {
    const video = this.#videos[source];
    // Its time goes on without pictures too.
    const { totalVideoFrames } = video.getVideoPlaybackQuality();
    const moved = video.videoWidth > 0 && totalVideoFrames !== this.#counts[source];
    this.#counts[source] = totalVideoFrames;
    return moved;
  }
}

/** As every track does it, whatever this one's own `stop` was made to do. @param {MediaStreamTrack} track */
function stop(track) {
  MediaStreamTrack.prototype.stop.call(track);
}

function hiddenVideo() {
  return Object.assign(document.createElement("video"), { muted: true, playsInline: true, autoplay: true });
}

/** @param {HTMLVideoElement} video @param {MediaStreamTrack} track */
function show(video, track) {
  video.srcObject = new MediaStream([track]);
  video.play().catch(() => undefined); // refused, or a newer source took its place: the draw timer sees no picture
}
