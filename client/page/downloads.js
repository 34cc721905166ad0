// Pictures and films kept by the person at the page; they go to the downloads, never to the server.
import { emit } from "../sdk/events.js";

/** What browsers can write, best known first. */
const KINDS = ["video/mp4;codecs=avc1.640028", "video/mp4", "video/webm;codecs=vp9", "video/webm"];
const EVERY_MS = 1_000;

/** `rigid-live-2026-11-24-09-30-05.jpg`. @param {string} extension */
export function fileName(extension, now = new Date()) {
  const local = new Date(now.getTime() - now.getTimezoneOffset() * 60_000);
  return `rigid-live-${local.toISOString().slice(0, 19).replace(/[T:]/g, "-")}.${extension}`;
}

/** Minutes and seconds, `1:05`. @param {number} milliseconds */
export function duration(milliseconds) {
  const seconds = Math.floor(milliseconds / 1_000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/** Saves what `video` shows now, as it came. @param {HTMLVideoElement} video */
export async function saveSnapshot(video) {
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d")?.drawImage(video, 0, 0);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.95));
  if (!blob) throw new Error("The browser could not write the picture.");
  download(blob, fileName("jpg"));
}

/** Films a stream until it is stopped. Events: "time" (detail: ms so far), "end". */
export class Recorder extends EventTarget {
  /** @type {MediaRecorder | null} */
  #recorder = null;

  static get possible() {
    return "MediaRecorder" in globalThis && kindOf() !== null;
  }

  get isRunning() {
    return this.#recorder !== null;
  }

  /** @param {MediaStream} media */
  start(media) {
    const kind = /** @type {string} */ (kindOf());
    const recorder = new MediaRecorder(media, { mimeType: kind, videoBitsPerSecond: 5_000_000 });
    /** @type {Blob[]} */
    const parts = [];
    const began = performance.now();
    const timer = setInterval(() => emit(this, "time", performance.now() - began), EVERY_MS);
    recorder.ondataavailable = ({ data }) => data.size > 0 && parts.push(data);
    recorder.onstop = () => {
      clearInterval(timer);
      this.#recorder = null;
      const type = kind.split(";")[0];
      if (parts.length > 0) download(new Blob(parts, { type }), fileName(type.split("/")[1]));
      emit(this, "end", null);
    };
    this.#recorder = recorder;
    recorder.start(EVERY_MS);
    emit(this, "time", 0);
  }

  stop() {
    if (this.#recorder?.state === "recording") this.#recorder.stop();
  }
}

function kindOf() {
  return KINDS.find((kind) => MediaRecorder.isTypeSupported(kind)) ?? null;
}

/** @param {Blob} blob @param {string} name */
function download(blob, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
