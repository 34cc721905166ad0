// What is kept of the edited picture, and where it is watched elsewhere.
import { detailOf } from "../sdk/events.js";
import { find } from "./dom.js";
import { duration, Recorder, saveSnapshot } from "./downloads.js";

/** Makes the buttons keep what `video` shows; returns what films it. @param {HTMLVideoElement} video */
export function bindKeeping(video) {
  const recorder = new Recorder();
  const film = find("film", "button");
  /** @param {number | null} milliseconds of the film so far; null where none is made */
  const show = (milliseconds) => {
    film.ariaPressed = String(milliseconds !== null);
    film.textContent = milliseconds === null ? "Record" : `Stop recording ${duration(milliseconds)}`;
  };
  film.hidden = !Recorder.possible;
  film.addEventListener("click", () => {
    if (recorder.isRunning) recorder.stop();
    else if (video.srcObject) recorder.start(/** @type {MediaStream} */ (video.srcObject));
  });
  recorder.addEventListener("time", (event) => show(detailOf(event)));
  recorder.addEventListener("end", () => show(null));
  find("photo").addEventListener("click", async () => {
    await saveSnapshot(video);
    find("hint").textContent = "The picture is in your downloads.";
  });
  return recorder;
}

/** @param {string | null} session its id @param {string | null} key */
export function showAddress(session, key) {
  const address = new URL(`view.html?session=${session}`, document.baseURI);
  if (key) address.hash = `key=${encodeURIComponent(key)}`;
  find("address", "input").value = address.href;
}

export async function copyAddress() {
  const address = find("address", "input");
  const copy = find("copy");
  address.select();
  await navigator.clipboard.writeText(address.value);
  copy.textContent = "Copied";
  setTimeout(() => (copy.textContent = "Copy"), 2_000);
}
