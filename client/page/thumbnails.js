// Small pictures of what the sliders do. They are fetched here, as an <img> cannot send the server's key.

/** @import { Api } from "../sdk/api.js" */

/**
 * Fills `img[data-strip]` below a root once they come into sight, one at a time: the server may have to paint them
 * first, and the session's own requests must not wait behind them.
 */
export class Thumbnails {
  #api;
  /** @type {HTMLImageElement[]} */
  #waiting = [];
  #isFetching = false;
  /** @type {IntersectionObserver | null} */
  #sight = null;

  /** @param {Api} api */
  constructor(api) {
    this.#api = api;
  }

  /** @param {HTMLElement} root */
  show(root) {
    this.#sight?.disconnect();
    this.#waiting = [];
    const sight = new IntersectionObserver((entries) => entries.forEach((entry) => this.#seen(entry, sight)));
    this.#sight = sight;
    // What is hidden has no place on the page; its label has.
    for (const image of root.querySelectorAll("img[data-strip]")) sight.observe(/** @type {Element} */ (image.parentElement));
  }

  /** @param {IntersectionObserverEntry} entry @param {IntersectionObserver} sight */
  #seen({ isIntersecting, target }, sight) {
    const image = target.querySelector("img");
    if (!isIntersecting || !image) return;
    sight.unobserve(target);
    this.#waiting.push(image);
    this.#fetchAll();
  }

  async #fetchAll() {
    if (this.#isFetching) return;
    this.#isFetching = true;
    for (let image = this.#waiting.shift(); image; image = this.#waiting.shift()) await this.#fetch(image);
    this.#isFetching = false;
  }

  /** @param {HTMLImageElement} image */
  async #fetch(image) {
    try {
      image.src = await this.#api.picture(image.dataset.strip ?? "");
      await image.decode();
      image.hidden = false;
    } catch {
      // A slider without its picture works as well.
    } finally {
      URL.revokeObjectURL(image.src);
    }
  }
}
