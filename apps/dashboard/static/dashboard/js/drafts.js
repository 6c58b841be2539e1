// What was typed into a bot's editor, kept in this tab until the server has it: by then the session
// may be over, and the login leads back to the page as it was. Secrets are never kept.

const PREFIX = "bc-draft ";
const SENT = "bc-draft-sent";
// What a page says of itself, which the next one says anew.
const OWN = new Set(["csrfmiddlewaretoken", "onto", "do"]);

/** The tab's storage may be full, or forbidden: then nothing is kept. */
function stored(act) {
  try {
    return act(sessionStorage);
  } catch {
    return null;
  }
}

/**
 * What the form would send. A secret that was typed is told as such, so that it is asked for again.
 * @param {HTMLFormElement} form
 * @returns {[string, string][]}
 */
function pairsOf(form) {
  return [...new FormData(form)].filter(([name]) => !OWN.has(name)).flatMap(([name, value]) => {
    if (form.elements.namedItem(name)?.type !== "password") return [[name, value]];
    return value ? [[name.replace(/-value$/, "-again"), "true"]] : [];
  });
}

/** @param {HTMLFormElement} form */
export function keep(form) {
  const draft = { at: Date.now(), pairs: pairsOf(form) };
  stored((kept) => kept.setItem(PREFIX + location.pathname, JSON.stringify(draft)));
}

/** Keep what is about to be sent. The page that says it is saved lets it go. */
export function keepSent(form) {
  keep(form);
  stored((kept) => kept.setItem(SENT, location.pathname));
}

export function forget(path = location.pathname) {
  stored((kept) => kept.removeItem(PREFIX + path));
}

/**
 * What is kept of this page and does not stand in it already.
 * @param {HTMLFormElement} form
 * @returns {{ at: number, pairs: [string, string][] } | null}
 */
export function draftOf(form) {
  const draft = stored((kept) => JSON.parse(kept.getItem(PREFIX + location.pathname)));
  if (!draft) return null;
  const sorted = (pairs) => JSON.stringify([...pairs].sort());
  if (sorted(draft.pairs) !== sorted(pairsOf(form))) return draft;
  forget();
  return null;
}

/** Have the server write the page with what is kept, rows and all. @param {HTMLFormElement} form */
export function putBack(form, draft) {
  const sent = document.createElement("form");
  sent.method = "post";
  const token = form.elements.namedItem("csrfmiddlewaretoken").value;
  for (const [name, value] of [...draft.pairs, ["csrfmiddlewaretoken", token], ["do", "show"]]) {
    const field = document.createElement("textarea"); // an input would drop line ends
    [field.name, field.value] = [name, value];
    sent.append(field);
  }
  sent.hidden = true;
  document.body.append(sent);
  sent.submit();
}

if (location.hash === "#saved") {
  stored((kept) => forget(kept.getItem(SENT)));
  history.replaceState(history.state, "", location.pathname + location.search);
}
