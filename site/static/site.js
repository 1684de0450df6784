// What the course's pages do beyond the theme.

// What scrolls in itself must be reached by keyboard, too.
function reach() {
  for (const box of document.querySelectorAll("pre, .table-wrapper, div.cell_output"))
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
}
addEventListener("load", reach);
addEventListener("resize", reach);

// The playground is as high as what is in it, so that only the page scrolls.
for (const frame of document.querySelectorAll("iframe.playground"))
  frame.addEventListener("load", () => {
    const inside = frame.contentDocument.documentElement;
    new ResizeObserver(() => { frame.style.height = `${inside.offsetHeight}px`; }).observe(inside);
  });

// The theme's two columns beside the text have no names.
document.querySelector(".sidebar-drawer")?.setAttribute("aria-label", "Pages");
document.querySelector(".toc-drawer")?.setAttribute("aria-label", "On this page");
