// The dashboard's only script: refreshes the live part of a page, copies, and shows times as the reader's own.
// It never builds markup from data: what it puts into the page was rendered and escaped by the server.
"use strict";

const live = document.getElementById("live");
let shown = null;

function localTimes(root) {
  const today = new Date().toDateString();
  for (const element of root.querySelectorAll("time[datetime]")) {
    const at = new Date(element.dateTime);
    const clock = at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
    const day = at.toLocaleDateString([], { month: "short", day: "numeric" });
    element.textContent = at.toDateString() === today ? clock : `${day}, ${clock}`;
  }
}

// The old part is replaced by the new one; what the reader opened, scrolled or typed stays as it was.
function replace(html) {
  const typed = [...live.querySelectorAll("textarea[id]")].map((field) => ({
    id: field.id, value: field.value, from: field.selectionStart, to: field.selectionEnd, isFocused: field === document.activeElement,
  }));
  const open = new Set([...live.querySelectorAll("details[open][id]")].map((element) => element.id));
  const scrolled = new Map([...live.querySelectorAll("details[id] pre")].map((pre, at) => [at, pre.scrollTop]));
  live.innerHTML = html;
  for (const element of live.querySelectorAll("details[id]")) element.open = open.has(element.id);
  live.querySelectorAll("details[id] pre").forEach((pre, at) => (pre.scrollTop = scrolled.get(at) ?? 0));
  typed.forEach(type);
  localTimes(live);
}

function type({ id, value, from, to, isFocused }) {
  const field = document.getElementById(id);
  if (!field) return;
  field.value = value;
  if (!isFocused) return;
  field.focus({ preventScroll: true });
  field.setSelectionRange(from, to);
}

async function refresh() {
  if (document.hidden) return;
  const answer = await fetch(location.href, { headers: { "X-Fragment": "1" } });
  if (answer.redirected || answer.status === 401) return location.reload();
  live.classList.toggle("stale", !answer.ok);
  if (!answer.ok) return;
  const html = await answer.text();
  const isSelecting = !getSelection().isCollapsed && live.contains(getSelection().anchorNode);
  if (live.querySelector(".approval form:hover")) return; // another call's button may slide under the pointer
  if (html !== shown && !isSelecting) replace(html);
  shown = html;
}

// A page that takes long to make is asked for less often.
async function keepFresh(pause) {
  const began = performance.now();
  try {
    await refresh();
  } catch {
    live.classList.add("stale"); // the server is away; the next round asks again
  }
  if (!live.querySelector('[data-final="yes"]')) setTimeout(keepFresh, Math.max(pause, 10 * (performance.now() - began)), pause);
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const source = button.previousElementSibling;
  if (!navigator.clipboard) return getSelection().selectAllChildren(source); // only safe origins may write to it
  await navigator.clipboard.writeText(source.textContent);
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = "Copy"), 1500);
});

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-submit]")) event.target.form.submit();
});

localTimes(document);
if (live?.dataset.refresh) setTimeout(keepFresh, Number(live.dataset.refresh), Number(live.dataset.refresh));
