// What unfold's templates name in x-data. Alpine's build for a strict Content-Security-Policy
// knows no globals, so they are registered by name.
// Unfold asks SimpleBar for scroll bars; the browser's own do.
window.SimpleBar = { instances: new Map() };

document.addEventListener("alpine:init", () => {
  const stored = (name) => {
    try {
      return localStorage.getItem(name);
    } catch {
      return null;
    }
  };
  Alpine.data("theme", () => theme("auto"));
  Alpine.data("searchForm", searchForm);
  Alpine.data("searchDropdown", searchDropdown);
  Alpine.data("searchCommand", searchCommand);
  Alpine.data("frame", () => ({
    // Unfold's forms name it in an expression, which sees no globals here.
    window: { location: { pathname: location.pathname, search: location.search } },
    activeTab: "",
    sidebarMobileOpen: false,
    sidebarDesktopOpen: stored("sidebarDesktopOpen") !== "0",
    init() {
      this.activeTab = (typeof getCurrentTab === "function" && getCurrentTab()) || this.$el.dataset.tab;
      this.$watch("sidebarDesktopOpen", (open) => {
        try {
          localStorage.setItem("sidebarDesktopOpen", open ? "1" : "0");
        } catch {
          // It is open again on the next page.
        }
      });
    },
  }));
});
