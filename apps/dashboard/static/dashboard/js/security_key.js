// Security keys and passkeys: asks the browser for one, and sends the server what it says.
// Options and answers are in WebAuthn's own JSON form (Web Authentication Level 3, 5.1.8 to 5.1.10).

const button = document.querySelector("[data-security-key]");
const word = document.getElementById("security-key-word");
const options = JSON.parse(document.getElementById("security-key-options").textContent);

/** Whether this browser, at this address, has keys at all: never over plain http but on localhost. */
function works() {
  return isSecureContext && Boolean(window.PublicKeyCredential?.parseCreationOptionsFromJSON);
}

/** Have the browser make a key, or use one. */
function asked() {
  if (options.creation_options) {
    const made = PublicKeyCredential.parseCreationOptionsFromJSON(options.creation_options.publicKey);
    return navigator.credentials.create({ publicKey: made });
  }
  const used = PublicKeyCredential.parseRequestOptionsFromJSON(options.request_options.publicKey);
  return navigator.credentials.get({ publicKey: used });
}

async function use() {
  word.textContent = "Touch your key, or follow your browser.";
  try {
    const credential = await asked();
    button.form.elements.credential.value = JSON.stringify(credential.toJSON());
    button.form.requestSubmit();
  } catch (error) {
    word.textContent =
      error.name === "InvalidStateError" ? "This key is here already." : "No key was used. Try again.";
  }
}

if (works()) {
  button.addEventListener("click", use);
} else {
  button.disabled = true;
  word.textContent = "Keys need https and a browser that knows them.";
}
