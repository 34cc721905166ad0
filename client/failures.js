// Every way it can go wrong, in words for the person in front of the camera.
import { ApiError } from "./api.js";

/** A failure with a known cause; `code` is a key of `WORDS`. */
export class Failure extends Error {
  constructor(code, detail = "") {
    super(detail || code);
    this.name = "Failure";
    this.code = code;
    this.detail = detail;
  }
}

/** title, text (`code` between backticks), the label of the button that helps; `retry` = worth trying again by itself. */
export const WORDS = {
  insecure: {
    title: "The camera needs a secure address",
    text: () =>
      `Browsers open the camera only over https or on localhost, and this page came over ${location.protocol}//${location.host}. ` +
      "Start the server with `--https`, or open the page on the machine it runs on.",
    action: "Try again",
  },
  unsupported: {
    title: "This browser cannot do live video",
    text: () => "It has no WebRTC. A current Chrome, Edge, Firefox or Safari will do.",
    action: "Try again",
  },
  "camera-refused": {
    title: "The camera is blocked",
    text: () =>
      "Permission was refused. Allow the camera for this page in the browser's address bar or in the system settings, then try again.",
    action: "Try again",
  },
  "camera-missing": {
    title: "No camera found",
    text: () => "Plug one in or switch it on, then try again.",
    action: "Try again",
  },
  "camera-busy": {
    title: "The camera is in use",
    text: () => "Another program or tab holds it. Close that one, then try again.",
    action: "Try again",
  },
  "camera-lost": {
    title: "The camera went away",
    text: () => "It was unplugged or switched off. Connect it again, then start anew.",
    action: "Start again",
  },
  "camera-failed": {
    title: "The camera did not start",
    text: (detail) => detail || "The browser gave no reason.",
    action: "Try again",
  },
  "server-full": {
    title: "All places are taken",
    text: () => "The server already edits as many faces as it can. Try again in a moment.",
    action: "Try again",
    retry: true,
  },
  "server-starting": {
    title: "The server is warming up",
    text: () => "It is loading its networks. You will be connected as soon as it is ready.",
  },
  "server-failed": {
    title: "The server cannot edit right now",
    text: (detail) => detail,
    action: "Try again",
  },
  unreachable: {
    title: "The server does not answer",
    text: () => `Nothing came back from ${location.host}. Is it running?`,
    action: "Try again",
    retry: true,
  },
  "key-needed": {
    title: "This server asks for a key",
    text: () => "Enter the key that the server was started with.",
    action: "Continue",
  },
  rejected: {
    title: "The server declined",
    text: (detail) => detail,
    action: "Try again",
  },
  "no-route": {
    title: "The video found no way through",
    text: () =>
      "The server answers, but no video connection came about. A firewall may block UDP; a TURN server (`--ice-server`) leads round it.",
    action: "Try again",
    retry: true,
  },
  "connection-lost": {
    title: "Connection lost",
    text: () => "The link to the server broke off.",
    action: "Reconnect now",
    retry: true,
  },
  "session-ended": {
    title: "The server ended the session",
    text: (detail) => detail || "You can start a new one.",
    action: "Start again",
  },
  "page-broken": {
    title: "Something on this page went wrong",
    text: (detail) => detail,
    action: "Try again",
  },
};

/** `{code, title, text, action, retry}` of anything thrown. */
export function describe(error) {
  const failure = asFailure(error);
  const words = WORDS[failure.code];
  return { ...words, code: failure.code, text: words.text(failure.detail), retry: words.retry ?? false };
}

function asFailure(error) {
  if (error instanceof Failure) return error;
  if (error instanceof ApiError) return fromApi(error);
  return new Failure("page-broken", error?.message ?? String(error));
}

function fromApi(error) {
  const said = [error.message, error.hint].filter(Boolean).join(" ");
  if ([0, 502, 504].includes(error.status)) return new Failure("unreachable");
  if ([401, 403].includes(error.status)) return new Failure("key-needed");
  if (isStarting(error)) return new Failure("server-starting");
  if (error.status === 429 || error.code === "server_full") return new Failure("server-full");
  return new Failure(error.status >= 500 ? "server-failed" : "rejected", said);
}

/** True where a 503 means "not ready yet", which passes by itself. */
export function isStarting(error) {
  return error instanceof ApiError && error.status === 503 && error.code === "not_ready";
}
