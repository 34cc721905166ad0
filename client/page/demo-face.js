// A face for whoever has no camera: a short film of a generated one, over and over, as a camera would show it.
import { Failure } from "../sdk/failures.js";

const FILM = "demo.webm";
/** Oftener than the film has pictures. */
const DRAW_EVERY_MS = 20;

/** Its MediaStream (video only), until its track is stopped; throws a Failure. */
export async function openDemoFace() {
  const film = await playFilm();
  const canvas = Object.assign(document.createElement("canvas"), { width: film.videoWidth, height: film.videoHeight });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  // Safari captures no <video>, and Firefox no canvas before it has a context.
  const media = canvas.captureStream();
  drawEach(film, context, media.getVideoTracks()[0]);
  return media;
}

async function playFilm() {
  const film = Object.assign(document.createElement("video"), { muted: true, loop: true, playsInline: true, src: FILM });
  try {
    await film.play();
  } catch (error) {
    throw new Failure("demo-failed", /** @type {DOMException} */ (error).message);
  }
  return film;
}

/** @param {HTMLVideoElement} film @param {CanvasRenderingContext2D} context @param {MediaStreamTrack} track */
function drawEach(film, context, track) {
  let drawn = -1;
  const timer = setInterval(() => {
    if (track.readyState === "ended") {
      clearInterval(timer);
      film.removeAttribute("src");
      film.load();
      return;
    }
    const { totalVideoFrames } = film.getVideoPlaybackQuality();
    if (totalVideoFrames === drawn) return;
    drawn = totalVideoFrames;
    context.drawImage(film, 0, 0);
  }, DRAW_EVERY_MS);
}
