// A ring round every face in the edited picture, where there are several: a tap chooses whom the sliders change.
import { element } from "./dom.js";

/** @import { Face } from "../sdk/types.js" */

/** So long a chosen face may be out of sight. */
const FORGET_MS = 4_000;
/** The ring's size in the sizes of the face's box. */
const ROOM = 1.15;

/** Tells of each new choice by "choice". */
export class FaceRings extends EventTarget {
  /** The number of the face that is chosen; null for all of them. @type {number | null} */
  chosen = null;
  #root;
  #video;
  /** @type {Map<number, HTMLButtonElement>} */
  #rings = new Map();
  #lastSeen = 0;

  /** @param {HTMLElement} root over `video` @param {HTMLVideoElement} video @param {HTMLElement} around a tap here means all */
  constructor(root, video, around) {
    super();
    this.#root = root;
    this.#video = video;
    around.addEventListener("click", (event) => {
      const { target } = event;
      if (target instanceof Element && !target.closest("button, input")) this.choose(null);
    });
    root.addEventListener("keydown", (event) => event.key === "Escape" && this.choose(null));
  }

  /** @param {Face[]} faces of the newest picture */
  show(faces) {
    const now = performance.now();
    const isThere = faces.some((face) => face.id === this.chosen);
    if (isThere) this.#lastSeen = now;
    if (this.chosen !== null && (now - this.#lastSeen > FORGET_MS || faces.length === 0)) this.choose(null);
    // One face alone needs no choice.
    const shown = faces.length > 1 || isThere ? faces : [];
    for (const [number, ring] of this.#rings) {
      if (shown.some((face) => face.id === number)) continue;
      ring.remove();
      this.#rings.delete(number);
    }
    for (const face of shown) this.#place(this.#rings.get(face.id) ?? this.#make(face.id), face);
  }

  /** @param {number | null} number */
  choose(number) {
    if (number === this.chosen) return;
    this.chosen = number;
    this.#lastSeen = performance.now();
    for (const [one, ring] of this.#rings) ring.ariaPressed = String(one === number);
    this.dispatchEvent(new Event("choice"));
  }

  /** @param {number} number */
  #make(number) {
    const ring = element("button", { type: "button", className: "ring", ariaPressed: String(number === this.chosen) });
    ring.append(element("span", { textContent: String(number) }));
    ring.ariaLabel = `Face ${number}`;
    ring.addEventListener("click", () => this.choose(number === this.chosen ? null : number));
    this.#rings.set(number, ring);
    this.#root.append(ring);
    return ring;
  }

  /** @param {HTMLButtonElement} ring @param {Face} face */
  #place(ring, { box: [left, top, right, bottom] }) {
    const { videoWidth, videoHeight } = this.#video;
    const { clientWidth, clientHeight } = this.#root;
    if (!videoWidth || !clientWidth) return;
    // The picture covers its pane: what is longer of it is cut on both sides.
    const scale = Math.max(clientWidth / videoWidth, clientHeight / videoHeight);
    const [width, height] = [videoWidth * scale, videoHeight * scale];
    const across = ROOM * (right - left) * width;
    const down = ROOM * (bottom - top) * height;
    const x = ((left + right) / 2) * width + (clientWidth - width) / 2;
    const y = ((top + bottom) / 2) * height + (clientHeight - height) / 2;
    ring.style.width = `${across}px`;
    ring.style.height = `${down}px`;
    ring.style.translate = `${x - across / 2}px ${y - down / 2}px`;
  }
}
