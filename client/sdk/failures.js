// Every way it can go wrong, in words for the person in front of the camera.
import { ApiError } from "./api.js";

/** @import { Described } from "./types.js" */

/** A failure with a known cause; `code` is a key of `WORDS`. */
export class Failure extends Error {
  /** @param {string} code @param {string} [detail] what the browser or the server said */
  constructor(code, detail = "") {
    super(detail || code);
    this.name = "Failure";
    this.code = code;
    this.detail = detail;
  }
}

/**
 * title, text (`code` between backticks), the label of the button that helps; `retry` = worth trying again by itself.
 * @type {Record<string, {title: string, text: (detail: string) => string, action?: string, retry?: boolean}>}
 */
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
  "demo-failed": {
    title: "The demo face does not play",
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
    text: () => "Nothing came back from it. Is it running, and does a firewall let it through?",
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
    text: (detail) =>
      `The server answers, but no video connection came about. ${detail || "A firewall may block UDP."}`,
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
  "no-session": {
    title: "Nothing to watch yet",
    text: () => "That session is not running. It shows here as soon as it does.",
    action: "Try again",
    retry: true,
  },
  "page-broken": {
    title: "Something on this page went wrong",
    text: (detail) => detail,
    action: "Try again",
  },
};

/** Anything thrown, in words. @param {unknown} error @returns {Described} */
export function describe(error) {
  const failure = asFailure(error);
  const words = WORDS[failure.code];
  return { ...words, code: failure.code, text: words.text(failure.detail), retry: words.retry ?? false };
}

/** @param {unknown} error */
function asFailure(error) {
  if (error instanceof Failure) return error;
  if (error instanceof ApiError) return fromApi(error);
  return new Failure("page-broken", error instanceof Error ? error.message : String(error));
}

/** @param {ApiError} error */
function fromApi(error) {
  const said = [error.message, error.hint].filter(Boolean).join(" ");
  if ([0, 502, 504].includes(error.status)) return new Failure("unreachable");
  if ([401, 403].includes(error.status)) return new Failure("key-needed");
  if (isStarting(error)) return new Failure("server-starting");
  if (error.status === 429 || error.code === "server_full") return new Failure("server-full");
  return new Failure(error.status >= 500 ? "server-failed" : "rejected", said);
}

/** True where a 503 means "not ready yet", which passes by itself. @param {unknown} error */
export function isStarting(error) {
  return error instanceof ApiError && error.status === 503 && error.code === "not_ready";
}
