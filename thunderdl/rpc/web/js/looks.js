// Dark or light: as the system, unless the reader chose. theme.js hears the event and applies it.
const KEPT_AS = "thunderdl.theme";

/** "system", "light" or "dark": what the reader chose. */
export const theme = () => localStorage.getItem(KEPT_AS) ?? "system";

export function setTheme(wanted) {
  if (wanted === "system") localStorage.removeItem(KEPT_AS);
  else localStorage.setItem(KEPT_AS, wanted);
  dispatchEvent(new Event("thunderdl:theme"));
}

export function toggleTheme() {
  setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
}
