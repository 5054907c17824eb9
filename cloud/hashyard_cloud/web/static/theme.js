// Runs before the first paint, so that the page does not flash in the wrong colours.
(() => {
  const root = document.documentElement;
  root.classList.remove("no-js");
  if (root.dataset.theme === "auto") {
    const dark = window.matchMedia("(prefers-color-scheme: dark)");
    const apply = () => root.setAttribute("data-bs-theme", dark.matches ? "dark" : "light");
    dark.addEventListener("change", apply);
    apply();
  }
})();
