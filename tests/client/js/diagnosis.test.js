// Causes told apart.
import assert from "node:assert/strict";
import { test } from "node:test";
import { bits, diagnose, routeProblem } from "../../../client/sdk/diagnosis.js";

/** @import { Seen } from "../../../client/sdk/diagnosis.js" */

/** @type {Seen["network"]} */
const NETWORK = {
  roundTripMs: 20,
  bufferMs: 10,
  decodeMs: 2,
  framesPerSecond: 20,
  framesDecoded: 100,
  lost: 0,
  lostOut: 0,
  limited: "none",
  sentHeight: 480,
  relayed: false,
  protocol: "udp",
  bitsIn: 1e6,
  bitsOut: 1e6,
};
/** @type {NonNullable<Seen["stats"]>} */
const STATS = {
  type: "stats",
  edits: {},
  fps_in: 30,
  fps_out: 25,
  age_ms: { p50: 80, p95: 120 },
  stage_ms: {},
  face: true,
  frames_in: 900,
  frames_dropped: 10,
  frames_failed: 0,
  frames_without_face: 0,
};
const CAMERA = { light: 120, contrast: 50, stillMs: 0 };

/** The codes found. @param {{network?: object, stats?: object, camera?: object, silentMs?: number}} changes */
function found({ network = {}, stats = {}, camera = {}, silentMs = 0 } = {}) {
  const seen = {
    network: { ...NETWORK, ...network },
    stats: { ...STATS, ...stats },
    camera: { ...CAMERA, ...camera },
    silentMs,
  };
  return diagnose(seen).map((one) => one.code);
}

test("nothing is found where all is well, or nothing is known yet", () => {
  assert.deepEqual(found(), []);
  assert.deepEqual(diagnose({ network: NETWORK, stats: null, camera: null, silentMs: 0 }), []);
});

for (const [code, changes] of Object.entries({
  "camera-black": { camera: { light: 2, contrast: 1 } },
  "camera-frozen": { camera: { stillMs: 5_000 } },
  "no-face": { stats: { face: false } },
  face_cut_off: { stats: { advice: ["face_cut_off"] } },
  face_covered: { stats: { advice: ["face_covered"] } },
  several_faces: { stats: { advice: ["several_faces"] } },
  too_dark: { stats: { advice: ["too_dark"] } },
  too_small: { stats: { advice: ["too_small"] } },
  tiny_picture: { stats: { reason: "tiny_picture", message: "The camera's pictures are too small to edit." } },
  "server-late": { stats: { age_ms: { p50: 700, p95: 1_200 } } },
  "server-slow": { stats: { fps_out: 9 } },
  "edit-failed": { stats: { frames_failed: 3 } },
  "nothing-arrives": { silentMs: 4_000 },
  "nothing-leaves": { silentMs: 4_000, stats: { fps_in: 0, fps_out: 0 } },
  loss: { network: { lostOut: 0.08 } },
  far: { network: { roundTripMs: 300 } },
  narrow: { network: { limited: "bandwidth", bitsOut: 3e5 } },
  relayed: { network: { relayed: true } },
  busy: { network: { limited: "cpu" } },
  "slow-decode": { network: { decodeMs: 40 } },
})) {
  test(`finds ${code}`, () => assert.deepEqual(found(changes), [code]));
}

test("a dark room is named as such", () => {
  const [finding] = diagnose({
    network: NETWORK,
    stats: { ...STATS, face: false },
    camera: { light: 30, contrast: 20, stillMs: 0 },
    silentMs: 0,
  });
  assert.match(finding.text, /dark/);
});

test("the worst comes first", () => {
  const codes = found({ network: { relayed: true, lost: 0.1 }, camera: { light: 0, contrast: 0 } });
  assert.deepEqual(codes, ["camera-black", "loss", "relayed"]);
});

test("bits are written as people read them", () => {
  assert.equal(bits(1_540_000), "1.5 Mbit/s");
  assert.equal(bits(64_000), "64 kbit/s");
});

/** @param {string[]} addresses */
const sdp = (...addresses) =>
  `v=0\r\n${addresses.map((one, index) => `a=candidate:${index} 1 udp 21 ${one} 4000 typ host\r\n`).join("")}`;

for (const [name, ours, theirs, host, expected] of /** @type {[string, string, string, string, RegExp][]} */ ([
  ["a server behind NAT", sdp("192.168.1.9"), sdp("10.0.0.5"), "faces.example.org", /its own network \(10\.0\.0\.5\)/],
  ["a server without a network", sdp("192.168.1.9"), sdp("127.0.0.1"), "faces.example.org", /which is itself/],
  ["no address at the server", sdp("192.168.1.9"), sdp(), "faces.example.org", /server named no address/],
  ["a browser that hides", sdp(), sdp("203.0.113.7"), "faces.example.org", /browser named no address/],
  ["a firewall", sdp("192.168.1.9"), sdp("203.0.113.7"), "faces.example.org", /firewall/],
  ["a firewall in the LAN", sdp("192.168.1.9"), sdp("192.168.1.20"), "192.168.1.20", /firewall/],
])) {
  test(`names ${name} as what keeps the video from coming through`, () => {
    assert.match(routeProblem(ours, theirs, host), expected);
  });
}
