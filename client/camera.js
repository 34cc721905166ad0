// Opening the camera, with a named reason where that fails.
import { Failure } from "./failures.js";

// Ideals, never exact values: any camera is better than none.
const PICTURE = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 } };

const REASONS = {
  NotAllowedError: "camera-refused",
  SecurityError: "camera-refused",
  NotFoundError: "camera-missing",
  OverconstrainedError: "camera-missing",
  NotReadableError: "camera-busy",
  AbortError: "camera-busy",
};

/** The camera's MediaStream (video only); throws a Failure. `deviceId` null = the browser's choice, facing the user. */
export async function openCamera(deviceId = null) {
  if (!window.isSecureContext || !navigator.mediaDevices?.getUserMedia) throw new Failure("insecure");
  if (!window.RTCPeerConnection) throw new Failure("unsupported");
  const which = deviceId ? { deviceId: { ideal: deviceId } } : { facingMode: { ideal: "user" } };
  try {
    return await navigator.mediaDevices.getUserMedia({ video: { ...PICTURE, ...which }, audio: false });
  } catch (error) {
    throw new Failure(REASONS[error.name] ?? "camera-failed", error.message);
  }
}

/** `[{id, label}]` of the cameras; labels are known only once permission was given. */
export async function listCameras() {
  const devices = await navigator.mediaDevices.enumerateDevices();
  const cameras = devices.filter((device) => device.kind === "videoinput" && device.deviceId);
  return cameras.map((device, index) => ({ id: device.deviceId, label: device.label || `Camera ${index + 1}` }));
}

export function stopCamera(media) {
  for (const track of media?.getTracks() ?? []) track.stop();
}
