// The reader's choice of light or dark, kept between pages; without one the device decides.
const root = document.documentElement;
try {
  root.style.colorScheme = localStorage.getItem("scheme") || "light dark";
} catch {
  // A browser that keeps nothing follows the device.
}
document.addEventListener("DOMContentLoaded", () => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  document.getElementById("scheme").onclick = () => {
    const now = root.style.colorScheme;
    const next = now === "dark" || (now !== "light" && dark.matches) ? "light" : "dark";
    root.style.colorScheme = next;
    try {
      localStorage.setItem("scheme", next);
    } catch {
      // Then the choice holds for this page alone.
    }
  };
  const menu = document.getElementById("menu");
  menu.onclick = () => {
    menu.setAttribute("aria-expanded", String(root.classList.toggle("menu-open")));
  };
});
