// How it goes, for whoever wants to know: what was found, and the numbers behind it.
import { bits } from "../sdk/diagnosis.js";
import { element } from "./dom.js";

/** @import { Finding } from "../sdk/diagnosis.js" */
/** @import { Reading } from "../sdk/meter.js" */
/** @import { Stats } from "../sdk/types.js" */

/** @typedef {{network: Reading, stats: Stats | null, findings: Finding[]}} Shown */

export class StatusPanel {
  #details;
  #hint;
  /** @type {string | null} */
  #told = null;

  /** @param {HTMLElement} details a <details> @param {HTMLElement} hint where the worst is said in a line */
  constructor(details, hint) {
    this.#details = /** @type {HTMLDetailsElement} */ (details);
    this.#hint = hint;
  }

  /** @param {Shown | null} shown null where nothing runs */
  show(shown) {
    this.#details.hidden = shown === null;
    const worst = shown?.findings.find((one) => one.level !== "note") ?? null;
    this.#say(worst);
    if (!shown) return;
    const summary = /** @type {HTMLElement} */ (this.#details.querySelector("summary"));
    summary.dataset.level = shown.findings[0]?.level ?? "good";
    summary.textContent = shown.findings[0]?.title ?? "All is well";
    if (this.#details.open) this.#draw(shown);
  }

  /** Only what is new: a screen reader reads it out each time. @param {Finding | null} finding */
  #say(finding) {
    const code = finding?.code ?? null;
    if (code === this.#told) return;
    this.#told = code;
    this.#hint.textContent = finding ? `${finding.title}. ${finding.text}` : "";
  }

  /** @param {Shown} shown */
  #draw({ network, stats, findings }) {
    const said = findings.map(({ title, text, level }) => {
      const item = element("p", { className: "finding" }, element("b", { textContent: title }), ` ${text}`);
      item.dataset.level = level;
      return item;
    });
    const rows = Object.entries(numbers(network, stats)).map(([name, value]) =>
      element("div", {}, element("dt", { textContent: name }), element("dd", { textContent: value })),
    );
    const root = /** @type {HTMLElement} */ (this.#details.querySelector("div"));
    root.replaceChildren(...said, element("dl", { className: "numbers" }, ...rows));
  }
}

/** @param {Reading} network @param {Stats | null} stats @returns {Record<string, string>} */
function numbers(network, stats) {
  const percent = (/** @type {number} */ share) => `${(100 * share).toFixed(1)} %`;
  return {
    "Sent": `${network.sentHeight || "–"}p, ${bits(network.bitsOut)}`,
    "Received back": bits(network.bitsIn),
    "Lost on the way": `${percent(network.lostOut)} there, ${percent(network.lost)} back`,
    "There and back": `${network.roundTripMs.toFixed(0)} ms${network.relayed ? ", by a TURN server" : ""}`,
    "At the server": stats?.age_ms?.p50 ? `${stats.age_ms.p50.toFixed(0)} ms, ${stats.age_ms.p95?.toFixed(0)} at most times` : "–",
    "Pictures": stats ? `${stats.fps_in.toFixed(0)} in, ${stats.fps_out.toFixed(0)} out a second` : "–",
    "Left out": stats ? String(stats.frames_dropped) : "–",
  };
}
