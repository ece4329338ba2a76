// Runs before the first paint, so that nobody who wants it dark sees a white flash. No module: those wait.
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const kept = localStorage.getItem("thunderdl.theme");
    document.documentElement.dataset.theme = kept === "light" || kept === "dark" ? kept : dark.matches ? "dark" : "light";
  };
  apply();
  addEventListener("thunderdl:theme", apply);
  dark.addEventListener("change", () => dispatchEvent(new Event("thunderdl:theme")));
})();
