// Files for the prompt: chosen, dropped or pasted, they are uploaded at once, so that they can be looked at before it is sent. Each is
// an item of the composer's list: first with its progress, then as the server renders it. Without this script, the form sends them.

const LONG_TEXT = 8_000; // characters of a pasted text that is offered as a file
const form = document.getElementById("composer");
const list = document.getElementById("attached-files");
const input = document.getElementById("composer-file");
const offer = document.getElementById("paste-as-file");
const template = document.getElementById("uploading").content.firstElementChild;
const field = form.elements.content;
let previous = Promise.resolve(); // the last upload: the site takes few requests of one person at a time
let pasted = ""; // the text that is offered as a file

const alert = () => document.getElementById("composer-error"); // a response may replace it

function problem({ status, response }) {
  const sentences = { 0: "The site could not be reached.", 413: "It is too large.", 429: "Wait a few seconds, then attach it again.",
    503: "The site is busy. Wait a minute, then attach it again." };
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
  const item = template.cloneNode(true);
  const [name, progress, cancel] = item.children;
  name.textContent = file.name;
  progress.ariaLabel = `Uploading ${file.name}`;
  cancel.ariaLabel = `Cancel ${file.name}`;
  list.append(item);
  changed();
  const request = new XMLHttpRequest();
  function onEnd() {
    if (item.contains(document.activeElement)) field.focus();
    if (request.status === 201) item.outerHTML = request.response.html;
    else item.remove();
    htmx.process(list);
    changed();
    if (!cancel.disabled && request.status !== 201) alert().textContent = `${file.name} was not attached. ${problem(request)}`;
  }
  request.upload.onprogress = ({ loaded, total }) => {
    if (loaded < total) progress.value = loaded / total;
    else progress.removeAttribute("value"); // the site is reading it
  };
  cancel.addEventListener("click", () => {
    cancel.disabled = true;
    request.abort();
    onEnd();
  });
  previous = previous.then(() => cancel.disabled || new Promise((done) => {
    const data = new FormData();
    data.append("csrfmiddlewaretoken", form.elements.csrfmiddlewaretoken.value);
    data.append("file", file);
    request.onloadend = () => done(cancel.disabled || onEnd());
    request.open("POST", input.dataset.url);
    request.responseType = "json";
    request.send(data);
  }));
}

function uploadAll(files) {
  alert().textContent = "";
  for (const file of files) {
    if (file.size <= input.dataset.bytes) upload(file);
    else alert().textContent = `${file.name} is too large. ${input.parentElement.title}.`;
  }
}

input.addEventListener("change", () => {
  uploadAll(input.files);
  input.value = "";
});

// One is removed.
list.addEventListener("htmx:beforeRequest", () => field.focus());
list.addEventListener("htmx:afterRequest", changed);

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

field.addEventListener("paste", ({ clipboardData }) => {
  const { files } = clipboardData;
  const text = clipboardData.getData("text/plain").replaceAll("\r\n", "\n");
  if (!text && files.length) uploadAll(files); // word processors add a picture of the text
  if (text.length < LONG_TEXT) return;
  pasted = text;
  offer.hidden = false;
});
field.addEventListener("input", () => { offer.hidden ||= !field.value.includes(pasted); });
offer.addEventListener("click", () => {
  field.value = field.value.replace(pasted, () => "");
  upload(new File([pasted], "Pasted text.txt", { type: "text/plain" }));
  field.focus();
});
