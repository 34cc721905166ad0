// Where the time goes: the server's stages and the way there and back, as bars of one scale.

/** @import { Reading } from "./meter.js" */
/** @import { Stats } from "./types.js" */

/** @type {Record<string, string>} */
const NAMES = {
  wait: "Wait",
  decode: "Unpack",
  align: "Find face",
  invert: "Understand",
  synthesize: "Draw",
  blend: "Blend",
  encode: "Pack",
  network: "Network",
  buffer: "Browser",
};

/**
 * The server's share of the delay in ms: what it measured from receiving a frame to sending it, else its stages' sum.
 * @param {Pick<Stats, "age_ms" | "stage_ms"> | null} stats
 */
export function serverDelay(stats) {
  if (!stats) return null;
  if (stats.age_ms?.p50 !== undefined) return stats.age_ms.p50;
  const stages = Object.values(stats.stage_ms ?? {});
  return stages.length ? stages.reduce((sum, one) => sum + one, 0) : null;
}

/** @param {HTMLDetailsElement} details @param {HTMLElement} root @param {Stats | null} stats @param {Reading} network */
export function drawStages(details, root, stats, network) {
  const parts = { ...stats?.stage_ms, network: network.roundTripMs, buffer: network.bufferMs + network.decodeMs };
  details.hidden = !stats?.stage_ms;
  if (details.hidden || !details.open) return;
  const longest = Math.max(1, ...Object.values(parts));
  root.replaceChildren(...Object.entries(parts).map(([name, value]) => bar(NAMES[name] ?? name, value, longest)));
}

/** @param {string} name @param {number} milliseconds @param {number} longest */
function bar(name, milliseconds, longest) {
  const row = document.createElement("p");
  row.className = "stage-row";
  row.style.setProperty("--share", `${(100 * milliseconds) / longest}%`);
  for (const [tag, text] of [["span", name], ["i", ""], ["b", `${milliseconds.toFixed(milliseconds < 10 ? 1 : 0)} ms`]]) {
    const part = document.createElement(tag);
    part.textContent = text;
    row.append(part);
  }
  return row;
}
