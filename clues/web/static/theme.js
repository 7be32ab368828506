// Before the page is drawn, or it would flash: the theme that was chosen, if one was.
try {
  const chosen = localStorage.getItem("clues-theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch { /* no storage: as the system says */ }
