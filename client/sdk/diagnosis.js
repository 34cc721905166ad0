// What is the matter, in words: causes told apart by what the browser and the server measured. Pure.

/** @import { Reading } from "./meter.js" */
/** @import { Stats } from "./types.js" */

/**
 * @typedef {object} Finding
 * @property {string} code
 * @property {"bad" | "poor" | "note"} level
 * @property {string} title
 * @property {string} text what to do about it
 */

/**
 * @typedef {object} Seen What was measured over the last second or so.
 * @property {Reading} network
 * @property {Stats | null} stats the server's
 * @property {{light: number, contrast: number, stillMs: number} | null} camera mean and spread of its picture, 0 to 255;
 *   how long it has not changed at all
 * @property {number} silentMs how long no edited picture was decoded
 */

/** Reasons of a session's state that nothing here can see. */
const TOLD_BY_THE_SERVER = ["undecodable", "tiny_picture", "huge_picture", "few_pictures"];
/**
 * What the server tells of the face before the camera: a title, and what to do.
 * @type {Record<string, [string, string]>}
 */
const ADVICE = {
  face_cut_off: ["Your face is cut off", "Move to the middle of the picture, or further away from the camera."],
  face_covered: ["Your face is covered", "Something lies before it: a hand, a cup or hair. What is covered is not edited."],
  several_faces: ["There are several faces", "One of them is edited, the one that was there first. Let one sit before the camera."],
  too_dark: ["It is dark", "Turn on a light in front of you, or turn towards the window."],
  too_small: ["Your face is small", "Come closer to the camera, or choose a higher resolution."],
};
/** What a face of usual size needs to look sharp, bit/s. */
const ENOUGH = 600_000;
const LEVELS = ["bad", "poor", "note"];

/** The worst first; empty where all is well. @param {Seen} seen @returns {Finding[]} */
export function diagnose(seen) {
  const found = [...ofCamera(seen), ...ofServer(seen), ...ofNetwork(seen), ...ofDevice(seen)];
  return found.sort((one, other) => LEVELS.indexOf(one.level) - LEVELS.indexOf(other.level));
}

/** @param {Seen} seen @returns {Finding[]} */
function ofCamera({ camera, stats }) {
  if (camera && camera.light < 10 && camera.contrast < 6) {
    return [finding("camera-black", "bad", "The camera shows black", "Is its shutter closed, or its privacy switch on?")];
  }
  if (camera && camera.stillMs > 4_000) {
    const text = "The same picture comes over and over. Choose the camera again, or plug it in anew.";
    return [finding("camera-frozen", "bad", "The camera stands still", text)];
  }
  if (stats && !stats.face && stats.fps_out > 0) {
    const isDark = camera !== null && camera.light < 45;
    const text = isDark ? "It is dark: turn on a light in front of you." : "Come closer and look towards the camera.";
    return [finding("no-face", "poor", "No face is found", text)];
  }
  return (stats?.advice ?? []).filter((code) => code in ADVICE).map((code) => finding(code, "poor", ...ADVICE[code]));
}

/** @param {Seen} seen @returns {Finding[]} */
function ofServer({ stats }) {
  if (!stats) return [];
  const found = [];
  if (stats.message && TOLD_BY_THE_SERVER.includes(stats.reason ?? "")) {
    found.push(finding(stats.reason ?? "", "poor", "The server sees a poor picture", stats.message));
  }
  const age = stats.age_ms?.p95 ?? 0;
  if (age > 800) {
    const text = `A picture spends ${Math.round(age)} ms at the server. It is overloaded: fewer viewers, or a faster machine.`;
    found.push(finding("server-late", "poor", "The server is late", text));
  } else if (stats.fps_in > 5 && stats.fps_out < 0.6 * stats.fps_in) {
    const rates = `${stats.fps_out.toFixed(0)} of ${stats.fps_in.toFixed(0)} pictures a second`;
    const text = `It edits ${rates}; the others are left out, so the delay does not grow.`;
    found.push(finding("server-slow", "note", "The server is slower than the camera", text));
  }
  if (stats.frames_failed > 0) {
    const text = `${stats.frames_failed} pictures came back as they were. The server's log says why.`;
    found.push(finding("edit-failed", "poor", "Some pictures could not be edited", text));
  }
  return found;
}

/** @param {Seen} seen @returns {Finding[]} */
function ofNetwork({ network, stats, silentMs }) {
  const found = [];
  if (silentMs > 3_000 && stats && stats.fps_out > 0) {
    const text = "The server sends pictures and none arrives: a firewall or a full line stops them on the way here.";
    found.push(finding("nothing-arrives", "bad", "No picture comes through", text));
  } else if (silentMs > 3_000 && stats && stats.fps_in === 0) {
    const text = "The server gets no pictures from here: a firewall or a full line stops them on the way there.";
    found.push(finding("nothing-leaves", "bad", "No picture gets to the server", text));
  }
  if (Math.max(network.lost, network.lostOut) > 0.03) {
    const way = network.lostOut > network.lost ? "to the server" : "back from it";
    const share = Math.round(100 * Math.max(network.lost, network.lostOut));
    const text = `${share} % of the packets get lost on the way ${way}. A cable, or being nearer to the Wi-Fi, helps.`;
    found.push(finding("loss", "poor", "The network loses packets", text));
  }
  if (network.roundTripMs > 250) {
    const text = `The way there and back takes ${Math.round(network.roundTripMs)} ms: the server is far away, or the line is full.`;
    found.push(finding("far", "poor", "The network is slow", text));
  }
  if (network.limited === "bandwidth" && network.bitsOut < ENOUGH) {
    const text = `The line takes no more than ${bits(network.bitsOut)} from here; the picture is sent smaller or coarser.`;
    found.push(finding("narrow", "poor", "The line is narrow", text));
  }
  if (network.relayed) {
    const text = "No direct way was found, so a TURN server passes everything on. That costs some time, no more.";
    found.push(finding("relayed", "note", "The video takes a detour", text));
  }
  return found;
}

/** @param {Seen} seen @returns {Finding[]} */
function ofDevice({ network }) {
  const found = [];
  if (network.limited === "cpu") {
    const text = "It sends the picture smaller than the camera's. Choose a lower resolution, or close other programs.";
    found.push(finding("busy", "poor", "This device is busy", text));
  }
  if (network.decodeMs > 33) {
    const text = `Unpacking a picture takes it ${Math.round(network.decodeMs)} ms. Choose a lower resolution.`;
    found.push(finding("slow-decode", "poor", "This device is slow at showing the video", text));
  }
  return found;
}

/** @param {string} code @param {Finding["level"]} level @param {string} title @param {string} text @returns {Finding} */
function finding(code, level, title, text) {
  return { code, level, title, text };
}

/** As people read it. @param {number} perSecond */
export function bits(perSecond) {
  return perSecond >= 1e6 ? `${(perSecond / 1e6).toFixed(1)} Mbit/s` : `${Math.round(perSecond / 1e3)} kbit/s`;
}

/**
 * Why no video connection came about, from the addresses that both sides named.
 * @param {string} ours this side's SDP @param {string} theirs the server's @param {string} host the server's name
 */
export function routeProblem(ours, theirs, host) {
  const mine = addresses(ours);
  const its = addresses(theirs);
  if (its.length === 0) return "The server named no address for its video.";
  if (mine.length === 0) return "This browser named no address of its own: an extension or a policy forbids WebRTC.";
  if (its.every((one) => isLoopback(one)) && !isLocalName(host)) {
    return `The server named only ${its[0]}, which is itself. It has no network, or runs in a container without one.`;
  }
  if (its.every((one) => isPrivate(one)) && !isPrivate(host) && !isLocalName(host)) {
    return (
      `The server named only addresses of its own network (${its.join(", ")}), which cannot be reached from here. ` +
      "Start it with `--ice-server` (a TURN server), or in the same network."
    );
  }
  return "A firewall may block UDP; a TURN server (`--ice-server`) leads round it.";
}

/** Of the candidates in an SDP. @param {string} sdp */
function addresses(sdp) {
  return [...new Set([...sdp.matchAll(/^a=candidate:\S+ \d+ \S+ \d+ (\S+)/gm)].map((match) => match[1]))];
}

/** @param {string} address */
function isLoopback(address) {
  return address.startsWith("127.") || address === "::1";
}

/** @param {string} address */
function isPrivate(address) {
  return isLoopback(address) || /^(10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|169\.254\.|f[cd]|fe80)/i.test(address);
}

/** @param {string} host */
function isLocalName(host) {
  return host === "localhost" || isLoopback(host) || host.endsWith(".local");
}
