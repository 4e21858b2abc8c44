// A page with better-upload's client. A test calls the functions of `window`.

import { uploadFiles } from "@better-upload/client";

window.begin = async (settings) => {
  window.settings = settings;
};

window.add = () => {};

window.upload = () => {
  const { broker, token } = window.settings;
  window.states = [];
  window.outcome = uploadFiles({
    api: `${broker}/api/upload`,
    route: "tracks",
    metadata: { album: "Blue" },
    files: document.getElementById("files").files,
    headers: { Authorization: `Bearer ${token}` },
    multipartBatchSize: 4,
    retry: 3,
    retryDelay: 200,
    onFileStateChange: ({ file }) => window.states.push(file.status),
    ...window.settings.options,
  }).then(
    ({ files, failedFiles, metadata }) => ({
      successful: files.map(({ name, objectInfo }) => ({ name, body: { key: objectInfo.key } })),
      failed: failedFiles.map(({ error }) => error.message),
      metadata,
    }),
    (error) => ({ successful: [], failed: [`${error.type}: ${error.message}`] }),
  );
};

window.version = "better";
