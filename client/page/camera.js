// Opening the camera, with a named reason where that fails.
import { Failure } from "../sdk/failures.js";

/** Lines of the picture on offer, and its columns. */
export const SIZES = /** @type {const} */ ({ 360: 640, 480: 640, 720: 1280, 1080: 1920 });
export const USUAL_HEIGHT = 480;

/** @type {Record<string, string>} */
const REASONS = {
  NotAllowedError: "camera-refused",
  SecurityError: "camera-refused",
  NotFoundError: "camera-missing",
  OverconstrainedError: "camera-missing",
  NotReadableError: "camera-busy",
  AbortError: "camera-busy",
};

/** Ideals, never exact values: any camera is better than none. @param {number} height */
function picture(height) {
  const width = SIZES[/** @type {keyof typeof SIZES} */ (height)] ?? SIZES[USUAL_HEIGHT];
  return { width: { ideal: width }, height: { ideal: height }, frameRate: { ideal: 30 } };
}

/**
 * The camera's MediaStream (video only); throws a Failure.
 * @param {string | null} [deviceId] null = the browser's choice, facing the user
 * @param {number} [height] lines of the picture, one of SIZES
 */
export async function openCamera(deviceId = null, height = USUAL_HEIGHT) {
  if (!window.isSecureContext || !navigator.mediaDevices?.getUserMedia) throw new Failure("insecure");
  const which = deviceId ? { deviceId: { ideal: deviceId } } : { facingMode: { ideal: "user" } };
  try {
    return await navigator.mediaDevices.getUserMedia({ video: { ...picture(height), ...which }, audio: false });
  } catch (error) {
    const { name, message } = /** @type {DOMException} */ (error);
    throw new Failure(REASONS[name] ?? "camera-failed", message);
  }
}

/** Of the cameras; labels are known only once permission was given. */
export async function listCameras() {
  // A page that is not from a secure address has none.
  const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  const cameras = devices.filter((device) => device.kind === "videoinput" && device.deviceId);
  return cameras.map((device, index) => ({ id: device.deviceId, label: device.label || `Camera ${index + 1}` }));
}

/** Whether a failure is one of the camera, so that something else may be shown in its place. @param {string} code */
export function isOfCamera(code) {
  return code === "insecure" || code.startsWith("camera-");
}

/** @param {MediaStream | null} media */
export function stopCamera(media) {
  for (const track of media?.getTracks() ?? []) track.stop();
}
