// Asking the server from a script, and saying in words for people why there is no answer.

/** The server was not reached, or does not know who asks any more. The message is for people. */
export class NoAnswer extends Error {}

/**
 * As `fetch`. Rejects with a NoAnswer; what the server refuses is a response like another.
 * @param {string} url
 * @param {RequestInit} [wish]
 */
export async function asked(url, wish) {
  let response;
  try {
    response = await fetch(url, wish);
  } catch {
    throw new NoAnswer("The server could not be reached. Try again when it can.");
  }
  // Only to the login: nothing else that is asked for in this way is elsewhere.
  if (response.redirected) throw new NoAnswer("You are logged out. Reload the page.");
  return response;
}
