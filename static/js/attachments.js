// Files for the prompt: chosen, dropped or pasted, they are uploaded at once, so that they can be looked at before it is sent. Each is
// an item of the composer's list: first with its progress, then as the server renders it. Without this script, the form sends them.

const LONG_TEXT = 8_000; // characters of a pasted text that is offered as a file
const form = document.getElementById("composer");
const list = document.getElementById("attached-files");
const input = document.getElementById("composer-file");
const field = form.elements.content;
let previous = Promise.resolve(); // the last upload: the site takes few requests of one person at a time
let sent = []; // the items that the last request sent

const element = (name, properties) => Object.assign(document.createElement(name), properties);
const alert = () => document.getElementById("composer-error"); // a response may replace it

/** Send `data` to the site. `onEnd` gets the request, also if it failed. */
function post(url, data, onEnd, onProgress = () => {}) {
  const request = new XMLHttpRequest();
  data.append("csrfmiddlewaretoken", form.elements.csrfmiddlewaretoken.value);
  request.upload.onprogress = onProgress;
  request.onloadend = () => onEnd(request);
  request.open("POST", url);
  request.responseType = "json";
  request.send(data);
  return request;
}

function problem({ status, response }) {
  const sentences = { 0: "The site could not be reached.", 413: "It is too large.", 429: "Wait a few seconds, then attach it again." };
  return response?.error ?? sentences[status] ?? "Something went wrong on the site, or you are signed out.";
}

/** After a change of the files, it is another prompt: `input` gives it another key. It cannot be sent before all have arrived. */
function changed() {
  const said = alert().textContent; // of another file; `input` would remove it
  field.dispatchEvent(new Event("input", { bubbles: true }));
  alert().textContent = said;
  field.setCustomValidity(list.querySelector("progress") ? "Wait until the files are attached." : "");
}

function upload(file) {
  const item = element("li", { className: "attached" });
  const progress = element("progress", { max: 1, value: 0, ariaLabel: `Uploading ${file.name}` });
  const cancel = element("button", { type: "button", className: "attached-remove", textContent: "Cancel", ariaLabel: `Cancel ${file.name}` });
  item.append(element("span", { className: "file-name", textContent: file.name, dir: "auto" }), progress, cancel);
  list.append(item);
  changed();
  let request = null;
  const onEnd = () => {
    if (item.contains(document.activeElement)) field.focus();
    if (request?.status === 201) item.outerHTML = request.response.html;
    else item.remove();
    changed();
    if (!cancel.disabled && request.status !== 201) alert().textContent = `${file.name} was not attached. ${problem(request)}`;
  };
  const onProgress = ({ loaded, total }) => {
    if (loaded < total) progress.value = loaded / total;
    else progress.removeAttribute("value"); // the site is reading it
  };
  cancel.addEventListener("click", () => {
    cancel.disabled = true;
    if (request) request.abort();
    else onEnd();
  });
  previous = previous.then(() => new Promise((done) => {
    if (cancel.disabled) return done();
    const data = new FormData();
    data.append("file", file);
    request = post(input.dataset.url, data, () => { onEnd(); done(); }, onProgress);
  }));
}

function uploadAll(files) {
  alert().textContent = "";
  [...files].forEach(upload);
}

input.addEventListener("change", () => {
  uploadAll(input.files);
  input.value = "";
});

list.addEventListener("click", ({ target }) => {
  if (!target.dataset.remove) return;
  field.focus();
  post(target.dataset.remove, new FormData(), (request) => {
    if (request.status === 204 || request.status === 404) target.closest("li").remove();
    changed();
    if (request.status === 422) alert().textContent = problem(request);
  });
});

addEventListener("dragover", (event) => {
  if (!form.toggleAttribute("data-dropping", event.dataTransfer.types.includes("Files"))) return;
  event.preventDefault(); // else the browser would leave the page to show the file
});
addEventListener("dragleave", ({ relatedTarget }) => relatedTarget ?? form.removeAttribute("data-dropping"));
addEventListener("drop", (event) => {
  form.removeAttribute("data-dropping");
  if (!event.dataTransfer.files.length) return;
  event.preventDefault();
  uploadAll(event.dataTransfer.files);
});

field.addEventListener("paste", (event) => {
  const { files } = event.clipboardData;
  const text = event.clipboardData.getData("text/plain").replaceAll("\r\n", "\n");
  if (!text && files.length) uploadAll(files); // word processors add a picture of the text
  if (text.length < LONG_TEXT) return;
  const offer = element("button", { type: "button", className: "attached-remove", textContent: "Attach the pasted text as a file" });
  list.append(element("li", { className: "attached" }));
  list.lastChild.append(offer);
  offer.addEventListener("click", () => {
    offer.parentNode.remove();
    field.value = field.value.replace(text, () => "");
    upload(new File([text], "Pasted text.txt", { type: "text/plain" }));
    field.focus();
  });
});

form.addEventListener("htmx:beforeRequest", ({ target }) => {
  if (target === form) sent = [...list.children];
});
form.addEventListener("prompt:sent", () => sent.forEach((item) => item.remove()));
