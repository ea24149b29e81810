// What a page does beyond showing itself: it follows the desk, and says at once when it
// cannot. Every page works without it.
"use strict";

(() => {
  const connection = document.getElementById("connection");
  const quietFor = 12000; // the desk is heard from every 5 seconds
  let heard = new Date();
  let source = null; // one at a time: each takes a place at the desk
  let retry = 0;
  let closed = false;
  let ended = false; // the desk has said why it sends no more
  let paused = false;
  let last = ""; // where to go on after a pause

  const clock = (t) => t.toLocaleTimeString("en-GB");

  function say(text) {
    document.body.classList.toggle("old", text !== "");
    connection.hidden = text === "";
    if (connection.textContent !== text) {
      connection.textContent = text;
    }
  }

  function hear() {
    heard = new Date();
    closed = false;
    ended = false;
    say("");
  }

  function check() {
    if (!paused && !ended && !document.hidden && (closed || new Date() - heard > quietFor)) {
      say(`This page is old: no connection to the desk since ${clock(heard)} (this device's time). It tries again. If that lasts, reload the page; you may have to sign in again.`);
    }
  }

  // fragment turns the HTML of a part, which the desk has escaped, into nodes.
  function fragment(html) {
    const t = document.createElement("template");
    t.innerHTML = html;
    return t.content;
  }

  // replace keeps the focus where it is.
  function replace(id, html) {
    const old = document.getElementById(id);
    const next = fragment(html).firstElementChild;
    if (!old || !next) {
      return next;
    }
    const links = [...old.querySelectorAll("a, button, [tabindex]")];
    const at = links.indexOf(document.activeElement);
    old.replaceWith(next);
    if (at >= 0) {
      const again = next.querySelectorAll("a, button, [tabindex]")[at];
      again?.focus({ preventScroll: true });
    }
    return next;
  }

  // order puts the children of a list into the order of their ids, and drops others.
  function order(listId, ids, fresh) {
    const list = document.getElementById(listId);
    if (!list) {
      return;
    }
    const wanted = new Set(ids);
    [...list.children].filter((c) => !wanted.has(c.id)).forEach((c) => c.remove());
    ids.forEach((id, i) => {
      const child = document.getElementById(id) ?? fresh.get(id);
      if (child && list.children[i] !== child) {
        list.insertBefore(child, list.children[i] ?? null);
      }
    });
  }

  function update(message) {
    const fresh = new Map();
    for (const [id, html] of Object.entries(message.parts ?? {})) {
      const next = replace(id, html);
      if (next) {
        fresh.set(id, next);
      }
    }
    if (message.order) {
      order(message.list, message.order, fresh);
    }
    const list = document.getElementById(message.list);
    if (message.prepend && list) {
      const rows = fragment(message.prepend);
      [...rows.children].forEach((r) => r.classList.add("fresh"));
      list.prepend(rows);
      while (list.children.length > message.most) {
        list.lastElementChild.remove();
      }
    }
    const shown = document.getElementById("shown");
    if (shown && message.shown) {
      shown.textContent = message.shown;
    }
  }

  function leave() {
    clearTimeout(retry);
    source?.close();
  }

  function follow(address) {
    leave();
    source = new EventSource(address);
    source.addEventListener("open", hear);
    source.addEventListener("beat", hear);
    source.addEventListener("update", (e) => {
      hear();
      last = e.lastEventId;
      update(JSON.parse(e.data));
    });
    source.addEventListener("bye", (e) => {
      source.close();
      closed = true;
      ended = true;
      say(`This page is old since ${clock(new Date())} (this device's time): ${e.data}`);
    });
    source.addEventListener("error", (e) => {
      if (e.target !== source) {
        return; // that of before
      }
      closed = true;
      check();
      if (source.readyState === EventSource.CLOSED) { // refused: the browser does not try again
        clearTimeout(retry);
        retry = setTimeout(() => paused || document.hidden || resume(), 5000);
      }
    });
  }

  const events = document.body.dataset.events;
  const pause = document.querySelector("[data-pause]");
  const resume = () => follow(last === "" ? events : events.replace(/after=[^&]*/, `after=${last}`));
  if (events) {
    follow(events);
    setInterval(check, 1000);
    // Over HTTP/1.1 a browser has six connections for all its tabs: one that nobody looks
    // at must not keep any.
    document.addEventListener("visibilitychange", () => {
      leave();
      if (!document.hidden && !paused) {
        resume();
      }
    });
  }

  // A list that grows can be held.
  if (events && pause) {
    pause.hidden = false;
    pause.addEventListener("click", () => {
      paused = !paused;
      pause.textContent = paused ? "Resume" : "Pause";
      pause.setAttribute("aria-pressed", String(paused));
      if (paused) {
        leave();
        say(`Paused at ${clock(new Date())} (this device's time): nothing new is shown.`);
      } else {
        say("");
        hear();
        resume();
      }
    });
  }

  // A button that copies, and forms whose answer belongs in their place.
  document.addEventListener("click", (e) => {
    const button = e.target.closest("[data-copy]");
    if (!button) {
      return;
    }
    const text = document.getElementById(button.dataset.copy).textContent;
    navigator.clipboard?.writeText(text).then(() => { button.textContent = "Copied"; });
  });

  document.addEventListener("submit", async (e) => {
    const form = e.target.closest("form[data-inline]");
    if (!form) {
      return;
    }
    e.preventDefault();
    const button = form.querySelector("button");
    button.disabled = true;
    try {
      const answer = await fetch(form.action, {
        method: "POST", body: new URLSearchParams(new FormData(form)), headers: { "Sine-Relay-Desk": "fragment" },
      });
      if (!answer.ok || answer.redirected) {
        throw new Error(answer.status);
      }
      form.replaceWith(fragment(await answer.text()));
    } catch {
      form.submit(); // the page says what is wrong
    }
  });

  document.querySelectorAll("[data-copy]").forEach((b) => { b.hidden = !navigator.clipboard; });
  document.querySelectorAll("form[data-presets]").forEach((form) => {
    form.querySelectorAll("button[data-preset]").forEach((button) => {
      button.addEventListener("click", () => {
        for (const [name, value] of Object.entries(JSON.parse(button.dataset.preset))) {
          form.elements[name].value = value;
        }
      });
    });
  });
})();
