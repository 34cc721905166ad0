// Everything about what is changed: the sliders, the looks, the search, and what brings them back to rest.
import { element } from "./dom.js";
import { Sliders } from "./sliders.js";
import { describe } from "../sdk/failures.js";
import { Thumbnails } from "./thumbnails.js";

/** @import { Api } from "../sdk/api.js" */
/** @import { Ack, Attribute, Described, Edits, Preset } from "../sdk/types.js" */

const RETRY_MS = 3_000;
/** A handful is seen at a glance. */
const WORTH_A_SEARCH = 6;
const WORTH_GROUPS = 12;
/** Untouched sliders would draw the same face twice: a smile says what the page is for. */
const SAMPLE = { smile: 0.8 };

/**
 * @typedef {object} EditPanelEvents
 * @property {(edits: Edits, rampMs: number) => Promise<Ack | null>} onChange
 * @property {(edits: Edits) => void} onSketch what a drawn face would look like
 * @property {(failure: Described) => void} onKeyNeeded
 */

export class EditPanel {
  #root;
  #api;
  #events;
  #sliders;
  #thumbnails;

  /** @param {HTMLElement} root @param {Api} api @param {EditPanelEvents} events */
  constructor(root, api, events) {
    this.#root = root;
    this.#api = api;
    this.#events = events;
    this.#sliders = new Sliders(this.#find("#sliders"), events.onChange);
    this.#thumbnails = new Thumbnails(api);
    this.#find("#sliders").addEventListener("sliders", () => this.#onChange());
    this.#find("#reset").addEventListener("click", () => this.#sliders.reset());
    this.#find("#random").addEventListener("click", () => this.#sliders.randomise());
    const field = /** @type {HTMLInputElement} */ (this.#find("#search"));
    field.addEventListener("input", () => this.#show(field.value, null));
  }

  get edits() {
    return this.#sliders.edits;
  }

  /** Shows what was set elsewhere. @param {Edits} edits */
  follow(edits) {
    this.#sliders.follow(edits);
  }

  /** Something to see, where nothing is changed yet. */
  smile() {
    if (!this.#sliders.changed) this.#sliders.apply(SAMPLE);
  }

  /** Fetches what is on offer, again and again until it came. */
  async load() {
    const note = this.#find("#deck-note");
    note.hidden = true;
    try {
      this.#build(await this.#api.attributes(), await this.#api.presets());
    } catch (error) {
      const failure = describe(error);
      if (failure.code === "key-needed") return this.#events.onKeyNeeded(failure);
      note.textContent = `The list of changes did not arrive: ${failure.title.toLowerCase()}. Trying again.`;
      note.hidden = false;
      setTimeout(() => this.load(), RETRY_MS);
    }
  }

  /** @param {Attribute[]} attributes @param {Preset[]} presets */
  #build(attributes, presets) {
    this.#sliders.build(attributes);
    this.#thumbnails.show(this.#find("#sliders"));
    this.#find("#search-line").hidden = attributes.length < WORTH_A_SEARCH;
    this.#offerGroups(attributes.length >= WORTH_GROUPS ? this.#sliders.groups : []);
    this.#find("#presets").hidden = presets.length === 0;
    this.#find("#preset-list").replaceChildren(...presets.map((preset) => this.#chip(preset)));
    this.#onChange();
  }

  /** @param {Preset} preset */
  #chip(preset) {
    const chip = element("button", { type: "button", className: "chip", textContent: preset.label });
    chip.dataset.edits = JSON.stringify(preset.edits);
    chip.addEventListener("click", () => this.#sliders.apply(preset.edits, preset.fade_ms));
    return chip;
  }

  /** @param {string[]} groups */
  #offerGroups(groups) {
    const all = /** @type {[string, string | null][]} */ ([["All", null], ...groups.map((name) => [name, name])]);
    const offered = all.map(([words, name]) => {
      const one = element("button", { type: "button", textContent: words });
      one.dataset.group = name ?? "";
      one.addEventListener("click", () => this.#show("", name));
      return one;
    });
    this.#find("#groups").replaceChildren(...offered);
    this.#find("#groups").hidden = groups.length < 2;
    this.#show("", null);
  }

  /** A search goes through all groups; a group chosen ends the search. @param {string} text @param {string | null} only */
  #show(text, only) {
    if (!text) /** @type {HTMLInputElement} */ (this.#find("#search")).value = "";
    const shown = this.#sliders.search(text, only);
    for (const one of this.#find("#groups").querySelectorAll("button")) {
      one.ariaPressed = String((one.dataset.group || null) === only && !text.trim());
    }
    const words = shown === 0 ? `Nothing is called “${text.trim()}”.` : `${shown} of ${this.#sliders.size} changes`;
    this.#find("#search-result").textContent = text.trim() ? words : "";
  }

  #onChange() {
    const isChanged = this.#sliders.changed;
    /** @type {HTMLButtonElement} */ (this.#find("#reset")).disabled = !isChanged;
    for (const chip of this.#root.querySelectorAll(".chip")) {
      const { edits = "{}" } = /** @type {HTMLElement} */ (chip).dataset;
      chip.ariaPressed = String(isChanged && this.#sliders.isAt(JSON.parse(edits)));
    }
    this.#events.onSketch(isChanged ? this.#sliders.edits : SAMPLE);
  }

  /** @param {string} selector @returns {HTMLElement} */
  #find(selector) {
    return /** @type {HTMLElement} */ (this.#root.querySelector(selector));
  }
}
