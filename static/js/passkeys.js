// Creates and uses passkeys. Each form[data-passkey] sends what the browser's passkey dialog returns: a new passkey
// ("create"), a confirmation ("get"), or the sign-in of somebody whose name is not known yet ("sign-in").

const REASONS = {
  NotAllowedError: "Cancelled, or not confirmed in time. Try again.",
  InvalidStateError: "This device already has a passkey for your account.",
  NotSupportedError: "This device cannot store a passkey. Try another one.",
};

const isSupported = Boolean(window.PublicKeyCredential?.parseRequestOptionsFromJSON);

async function requestOptions(form) {
  const element = document.getElementById("passkey-options");
  if (element) return JSON.parse(element.textContent).request_options;
  const response = await fetch(form.action, { headers: { Accept: "application/json" } }).catch(() => null);
  if (!response) throw new Error("The site could not be reached. Check your connection and try again.");
  if (!response.ok) throw new Error(`The site did not respond as expected (${response.status}). Try again later.`);
  return (await response.json()).request_options;
}

async function create() {
  const { publicKey } = JSON.parse(document.getElementById("passkey-options").textContent).creation_options;
  // So that it can be used alone: the device stores whose passkey it is, and checks that its owner is there.
  Object.assign(publicKey.authenticatorSelection, { residentKey: "required", requireResidentKey: true, userVerification: "required" });
  return navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(publicKey) });
}

async function get(form) {
  const { publicKey } = await requestOptions(form);
  return navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(publicKey) });
}

function showError(form, text) {
  const error = form.querySelector("[data-passkey-error]");
  error.hidden = false;
  error.textContent = text;
}

for (const form of document.querySelectorAll("form[data-passkey]")) {
  if (isSupported) form.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!isSupported) return showError(form, "This browser does not support passkeys. Update it, or use another one.");
    try {
      const credential = await (form.dataset.passkey === "create" ? create() : get(form));
      form.elements.credential.value = JSON.stringify(credential);
      form.submit();
    } catch (error) {
      showError(form, REASONS[error.name] ?? error.message);
    }
  });
}
