// In the split view both halves must show the same moment: the camera's picture waits for its edited twin.

const KEEP_MS = 2_000;
const EVERY_MS = 50; // 20 pictures a second are plenty for the waiting half, and kind to a phone's memory
const WIDTH = 40;
const HEIGHT = 30;

/** @typedef {{time: number, picture: ImageBitmap, look: Uint8Array}} Kept */

/** Shows in `canvas` the picture of `video` that belongs to the one which `edited` shows. */
export class SplitView {
  #video;
  #edited;
  #canvas;
  /** @type {Kept[]} */
  #kept = [];
  #running = false;
  #busy = false;
  /** @type {CanvasRenderingContext2D | null} */
  #small = null;

  /** @param {HTMLVideoElement} video @param {HTMLVideoElement} edited @param {HTMLCanvasElement} canvas */
  constructor(video, edited, canvas) {
    this.#video = video;
    this.#edited = edited;
    this.#canvas = canvas;
    canvas.hidden = true;
  }

  static get possible() {
    return "requestVideoFrameCallback" in HTMLVideoElement.prototype && "createImageBitmap" in window;
  }

  start() {
    if (this.#running || !SplitView.possible) return;
    this.#running = true;
    const keep = (/** @type {number} */ now) => {
      if (!this.#running) return;
      this.#keep(now);
      this.#video.requestVideoFrameCallback(keep);
    };
    this.#video.requestVideoFrameCallback(keep);
  }

  stop() {
    this.#running = false;
    for (const { picture } of this.#kept) picture.close();
    this.#kept = [];
    this.#canvas.hidden = true;
  }

  /**
   * To be called with each edited picture: it was shown at `now`, and is thought to be `delay` ms late.
   * @param {number} now @param {number | null} delay
   */
  show(now, delay) {
    if (!this.#running || this.#kept.length === 0) return;
    const { picture } = this.#twin(now - (delay ?? 0));
    if (this.#canvas.width !== picture.width || this.#canvas.height !== picture.height) {
      this.#canvas.width = picture.width;
      this.#canvas.height = picture.height;
    }
    this.#canvas.getContext("2d")?.drawImage(picture, 0, 0);
    this.#canvas.hidden = false;
  }

  // The delay wavers from picture to picture, but an edit leaves most of a picture alone: the one that looks most alike
  // is the twin. Where nothing moves all look alike, and the expected moment decides.
  /** @param {number} moment */
  #twin(moment) {
    const expected = least(this.#kept, (one) => Math.abs(one.time - moment));
    const look = this.#look(this.#edited);
    const alike = least(this.#kept, (one) => difference(one.look, look));
    return difference(alike.look, look) < 0.85 * difference(expected.look, look) ? alike : expected;
  }

  /** @param {number} now */
  async #keep(now) {
    if (this.#busy || now - (this.#kept.at(-1)?.time ?? -EVERY_MS) < EVERY_MS) return;
    this.#busy = true;
    try {
      const picture = await createImageBitmap(this.#video);
      if (this.#running) this.#kept.push({ time: now, picture, look: this.#look(picture) });
      else picture.close();
    } catch {
      // The camera was just switched: the next picture will do.
    } finally {
      this.#busy = false;
    }
    while (this.#kept.length > 1 && now - this.#kept[0].time > KEEP_MS) this.#kept.shift()?.picture.close();
  }

  /**
   * A picture so small that comparing it costs nothing: WIDTH × HEIGHT values, green only.
   * @param {CanvasImageSource} source
   */
  #look(source) {
    this.#small ??= smallContext(WIDTH, HEIGHT);
    this.#small.drawImage(source, 0, 0, WIDTH, HEIGHT);
    const { data } = this.#small.getImageData(0, 0, WIDTH, HEIGHT);
    return Uint8Array.from({ length: WIDTH * HEIGHT }, (_, index) => data[4 * index + 1]);
  }
}

/** A canvas to read from often. @param {number} width @param {number} height */
export function smallContext(width, height) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  return /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
}

/** @param {Uint8Array} one @param {Uint8Array} other */
function difference(one, other) {
  let sum = 0;
  for (let index = 0; index < one.length; index += 1) sum += Math.abs(one[index] - other[index]);
  return sum;
}

/** @template T @param {T[]} list @param {(one: T) => number} cost */
function least(list, cost) {
  let best = list[0];
  for (const one of list) if (cost(one) < cost(best)) best = one;
  return best;
}
