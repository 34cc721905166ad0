// The two pictures: side by side or split, mirrored or not, live or drawn.
import { MatchedView } from "./matched.js";
import { Portrait } from "./portrait.js";
import { recall, remember } from "./memory.js";

const REMEMBERED = "rigid-live.view";

export class Stage {
  #root;
  #before;
  #after;
  #matched;
  #portrait;

  constructor(root) {
    this.#root = root;
    const find = (selector) => root.querySelector(selector);
    this.#before = find("#before");
    this.#after = find("#after");
    this.#matched = new MatchedView(this.#before, this.#after, find("#before-matched"));
    new Portrait(find("#portrait-before"));
    this.#portrait = new Portrait(find("#portrait-after"));
    this.#bindSeam(find("#seam"));
    this.#bindViews(find("#view"));
    find("#mirror").addEventListener("change", ({ target }) => root.classList.toggle("is-mirrored", target.checked));
    root.classList.toggle("is-mirrored", find("#mirror").checked);
    this.#after.addEventListener("resize", () => this.#fit(this.#after));
    this.#before.addEventListener("resize", () => this.#fit(this.#before));
    this.#after.addEventListener("playing", () => root.classList.add("has-after"));
  }

  get after() {
    return this.#after;
  }

  set phase(phase) {
    this.#root.dataset.phase = phase;
  }

  sketch(edits) {
    this.#portrait.draw(edits);
  }

  showCamera(media) {
    this.#before.srcObject = media;
    this.#root.classList.toggle("has-before", media !== null);
    this.#match();
  }

  showEdited(media) {
    this.#root.classList.remove("has-after");
    this.#after.srcObject = media;
    if (media) play(this.#after);
    this.#match();
  }

  /** To be called with each edited frame shown: the split view draws the camera's picture of the same moment. */
  edited(now, delay) {
    this.#matched.show(now, delay);
  }

  #match() {
    const wanted = this.#root.dataset.view === "split" && this.#before.srcObject && this.#after.srcObject;
    if (wanted) this.#matched.start();
    else this.#matched.stop();
  }

  #fit(video) {
    if (video.videoWidth) this.#root.style.setProperty("--ratio", video.videoWidth / video.videoHeight);
    this.#root.classList.toggle("is-portrait", video.videoHeight > video.videoWidth);
  }

  #bindSeam(handle) {
    const place = () => this.#root.style.setProperty("--seam", `${handle.value}%`);
    handle.addEventListener("input", place);
    place();
  }

  #bindViews(fieldset) {
    const remembered = recall(REMEMBERED) ?? (matchMedia("(max-width: 52rem)").matches ? "split" : "side");
    for (const radio of fieldset.querySelectorAll("input")) {
      radio.checked = radio.value === remembered;
      radio.addEventListener("change", () => {
        remember(REMEMBERED, radio.value);
        this.#view(radio.value);
      });
    }
    this.#view(remembered);
  }

  #view(name) {
    this.#root.dataset.view = name;
    this.#match();
  }
}

// autoplay is refused on some phones until the video is asked in person
function play(video) {
  video.play().catch((error) => {
    if (error.name !== "AbortError") throw error; // a newer source took its place
  });
}
