// The two pictures: the edited one alone, split, or side by side; mirrored or not, live or drawn.
import { play } from "./dom.js";
import { SplitView, smallContext } from "./split-view.js";
import { recall, remember } from "./preferences.js";
import { Portrait } from "./portrait.js";

/** @import { Edits } from "../sdk/types.js" */

const REMEMBERED = "rigid-live.view";
const PROBE = { width: 32, height: 24 };

export class Stage {
  #root;
  #before;
  #after;
  #mark;
  #matched;
  #portrait;
  #look = { light: 128, contrast: 64, stillMs: 0 };
  #lastSum = -1;
  #lastChange = 0;
  /** @type {CanvasRenderingContext2D | null} */
  #probe = null;

  /** @param {HTMLElement} root */
  constructor(root) {
    this.#root = root;
    this.#before = /** @type {HTMLVideoElement} */ (this.#find("#before"));
    this.#after = /** @type {HTMLVideoElement} */ (this.#find("#after"));
    this.#mark = /** @type {HTMLCanvasElement} */ (this.#find("#after-mark"));
    const matched = /** @type {HTMLCanvasElement} */ (this.#find("#before-matched"));
    this.#matched = new SplitView(this.#before, this.#after, matched);
    new Portrait(this.#find("#portrait-before"));
    this.#portrait = new Portrait(this.#find("#portrait-after"));
    this.#bindSeam(/** @type {HTMLInputElement} */ (this.#find("#seam")));
    this.#bindViews(this.#find("#view"));
    this.#bindMirror(/** @type {HTMLInputElement} */ (this.#find("#mirror")));
    this.#after.addEventListener("resize", () => this.#fit(this.#after));
    this.#before.addEventListener("resize", () => this.#fit(this.#before));
    this.#after.addEventListener("playing", () => root.classList.add("has-after"));
  }

  get after() {
    return this.#after;
  }

  /** @param {string} phase */
  set phase(phase) {
    this.#root.dataset.phase = phase;
  }

  /** @param {Edits} edits */
  sketch(edits) {
    this.#portrait.draw(edits);
  }

  /** @param {MediaStream | null} media */
  showCamera(media) {
    this.#before.srcObject = media;
    this.#lastChange = performance.now();
    this.#root.classList.toggle("has-before", media !== null);
    this.#match();
  }

  /** @param {MediaStream | null} media */
  showEdited(media) {
    this.#root.classList.remove("has-after");
    this.#after.srcObject = media;
    this.#mark.hidden = true;
    if (media) play(this.#after);
    this.#match();
  }

  /**
   * To be called with each edited frame shown: the split view draws the camera's picture of the same moment.
   * @param {number} now @param {number | null} delay
   * @param {number[] | null} mark where the picture says that it is edited: left, top, width, height in its pixels
   */
  onEdited(now, delay, mark) {
    this.#matched.show(now, delay);
    this.#unmirror(mark);
  }

  /** What the camera shows: mean and spread of its light, 0 to 255, and how long it has stood still. */
  lookAtCamera() {
    if (!this.#before.srcObject || this.#before.videoWidth === 0) return null;
    this.#probe ??= smallContext(PROBE.width, PROBE.height);
    this.#probe.drawImage(this.#before, 0, 0, PROBE.width, PROBE.height);
    const { data } = this.#probe.getImageData(0, 0, PROBE.width, PROBE.height);
    const green = Array.from({ length: data.length / 4 }, (_, index) => data[4 * index + 1]);
    const sum = green.reduce((total, one) => total + one, 0);
    const light = sum / green.length;
    const contrast = Math.sqrt(green.reduce((total, one) => total + (one - light) ** 2, 0) / green.length);
    // Sensors are noisy: not one grain of it in a real camera's picture stays the same for seconds.
    const now = performance.now();
    if (sum !== this.#lastSum) this.#lastChange = now;
    this.#lastSum = sum;
    this.#look = { light, contrast, stillMs: now - this.#lastChange };
    return this.#look;
  }

  /** In a mirrored preview the words in the picture would read backwards: they are laid over it the right way round.
   * @param {number[] | null} mark */
  #unmirror(mark) {
    const isMirrored = this.#root.classList.contains("is-mirrored");
    this.#mark.hidden = !isMirrored || mark === null;
    if (this.#mark.hidden || mark === null) return;
    const [left, top, width, height] = mark;
    if (this.#mark.width !== this.#after.videoWidth) this.#mark.width = this.#after.videoWidth;
    if (this.#mark.height !== this.#after.videoHeight) this.#mark.height = this.#after.videoHeight;
    const context = this.#mark.getContext("2d");
    context?.clearRect(0, 0, this.#mark.width, this.#mark.height);
    context?.drawImage(this.#after, left, top, width, height, this.#mark.width - left - width, top, width, height);
  }

  #match() {
    const wanted = this.#root.dataset.view === "split" && this.#before.srcObject && this.#after.srcObject;
    if (wanted) this.#matched.start();
    else this.#matched.stop();
  }

  /** @param {HTMLVideoElement} video */
  #fit(video) {
    if (video.videoWidth) this.#root.style.setProperty("--ratio", String(video.videoWidth / video.videoHeight));
    this.#root.classList.toggle("is-portrait", video.videoHeight > video.videoWidth);
  }

  /** @param {HTMLInputElement} handle */
  #bindSeam(handle) {
    const place = () => this.#root.style.setProperty("--seam", `${handle.value}%`);
    handle.addEventListener("input", place);
    place();
  }

  /** @param {HTMLElement} fieldset */
  #bindViews(fieldset) {
    const remembered = recall(REMEMBERED) ?? (matchMedia("(max-width: 52rem)").matches ? "after" : "side");
    for (const radio of fieldset.querySelectorAll("input")) {
      radio.checked = radio.value === remembered;
      radio.addEventListener("change", () => {
        remember(REMEMBERED, radio.value);
        this.#view(radio.value);
      });
    }
    this.#view(remembered);
  }

  /** @param {HTMLInputElement} mirror */
  #bindMirror(mirror) {
    const place = () => this.#root.classList.toggle("is-mirrored", mirror.checked);
    mirror.addEventListener("change", place);
    place();
  }

  /** @param {string} name */
  #view(name) {
    this.#root.dataset.view = name;
    this.#match();
  }

  /** @param {string} selector @returns {HTMLElement} */
  #find(selector) {
    return /** @type {HTMLElement} */ (this.#root.querySelector(selector));
  }
}
