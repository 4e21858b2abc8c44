import { create } from "./node_modules/filepond/dist/filepond.esm.js";

const query = new URLSearchParams(location.search);
const broker = query.get("broker") ?? "http://localhost:8000";
const getToken = () => query.get("token"); // your own function: it requests a token for the signed-in user

const { upload } = await import(`${broker}/static/broker-upload.js`);

/** Upload a file. FilePond puts the key into a hidden field of the form, with the name of the input. */
function process(_name, file, _metadata, load, error, progress, abort) {
  const run = upload(file, { broker, getToken });
  run.on("progress", ({ loadedBytes, totalBytes }) => progress(true, loadedBytes, totalBytes));
  run.done.then(
    (track) => load(track.key),
    (failure) => (failure.code === "cancelled" ? abort() : error(failure.message)),
  );
  return { abort: () => run.cancel() };
}

/** Delete an uploaded file that the user removes from the list. This is final. */
async function revert(key, load, error) {
  const headers = { Authorization: `Bearer ${await getToken()}` };
  const response = await fetch(`${broker}/api/v1/objects/${key}`, { method: "DELETE", headers });
  if (response.ok || response.status === 404) load();
  else error((await response.json()).detail);
}

create(document.querySelector("input"), {
  server: { process, revert },
  labelFileProcessingError: (failure) => failure.body, // the text that was passed to error()
});
