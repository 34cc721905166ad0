// Where the time goes: the server's stages and the way there and back, as bars of one scale.

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

/** The server's share of the delay in ms: what it measured from receiving a frame to sending it, else its stages' sum. */
export function serverDelay(stats) {
  if (!stats) return null;
  const measured = stats.latency_ms ?? stats.frame_age_ms ?? stats.age_ms;
  if (measured !== undefined && measured !== null) return typeof measured === "object" ? measured.p50 : measured;
  const stages = Object.values(stats.stage_ms ?? {});
  return stages.length ? stages.reduce((sum, one) => sum + one, 0) : null;
}

export function drawStages(details, root, stats, network) {
  const parts = { ...stats?.stage_ms, network: network.roundTripMs, buffer: network.bufferMs + network.decodeMs };
  details.hidden = !stats?.stage_ms;
  if (details.hidden || !details.open) return;
  const longest = Math.max(1, ...Object.values(parts));
  root.replaceChildren(...Object.entries(parts).map(([name, value]) => bar(NAMES[name] ?? name, value, longest)));
}

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
