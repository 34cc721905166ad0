// Light, dark, or as the system is.
import { recall, remember } from "./preferences.js";

const REMEMBERED = "rigid-live.theme";
const THEMES = /** @type {const} */ (["auto", "light", "dark"]);
const WORDS = { auto: "Theme: as the system", light: "Theme: light", dark: "Theme: dark" };

/** Makes `button` go through the themes; what was chosen is remembered. @param {HTMLElement} button */
export function bindTheme(button) {
  const known = THEMES.find((one) => one === recall(REMEMBERED));
  let theme = known ?? "auto";
  const show = () => {
    document.documentElement.dataset.theme = theme;
    button.dataset.theme = theme;
    button.ariaLabel = WORDS[theme];
    button.title = WORDS[theme];
  };
  button.addEventListener("click", () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    remember(REMEMBERED, theme);
    show();
  });
  show();
}
