// What the pages with Uppy 4, 5 and 6 have in common. A test calls the functions of `window`.

const PARTS = { shouldUseMultipart: true, allowedMetaFields: ["name", "type", "size"] };

export function expose(version, { Uppy, AwsS3, GoldenRetriever, Dashboard }) {
  const byMode = {
    /** Uppy 4 and 5 with their stock package, the URL and the token. */
    stock: ({ broker, token }) => ({ ...PARTS, endpoint: broker, headers: { Authorization: `Bearer ${token}` } }),

    /** Uppy 6 with its stock package and a URL that has a session. */
    session: async ({ broker, token }) => {
      const headers = { Authorization: `Bearer ${token}` };
      const response = await fetch(`${broker}/api/v1/sessions`, { method: "POST", headers });
      const { endpoint } = await response.json();
      return { ...PARTS, companionEndpoint: endpoint };
    },

    /** Uppy 6 with the signer of its own documentation. */
    sign: ({ broker, token }) => ({
      ...PARTS,
      generateObjectKey: (file) => `${file.size}/${file.name}`,
      async signRequest(request) {
        const response = await fetch(`${broker}/s3/presign`, {
          method: "POST",
          headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
          body: JSON.stringify(request),
        });
        const body = await response.json();
        if (!response.ok) throw new Error(body.message);
        return body;
      },
    }),

    helper: async ({ broker, token, options }, uppy) => {
      const { brokerUppy } = await import(`${broker}/static/broker-uppy.js`);
      return brokerUppy(uppy, { broker, getToken: () => token, ...options });
    },
  };

  window.begin = async (settings) => {
    const uppy = new Uppy({ id: "page" });
    uppy.on("file-added", (file) => uppy.setFileMeta(file.id, { size: file.size }));
    if (Dashboard) uppy.use(Dashboard, { inline: true, target: "#dashboard" });
    uppy.use(AwsS3, await byMode[settings.mode](settings, uppy));
    window.events = [];
    for (const name of ["upload-success", "upload-error", "s3-multipart:part-uploaded"]) {
      uppy.on(name, (file, what) => window.events.push([name, what?.message ?? what]));
    }
    window.succeeded = new Promise((resolve) => uppy.on("upload-success", (_, response) => resolve(response)));
    window.ended = new Promise((resolve) => uppy.on("complete", (result) => resolve(told(result))));
    if (settings.golden) uppy.use(GoldenRetriever, { serviceWorker: false, indexedDB: { maxFileSize: 2 ** 27 } });
    window.uppy = uppy;
  };

  const told = ({ successful, failed }) => ({
    successful: successful.map((file) => file.response),
    failed: failed.map((file) => file.error),
  });

  window.add = () => {
    for (const file of document.getElementById("files").files) {
      window.uppy.addFile({ name: file.name, type: file.type, data: file });
    }
  };

  window.upload = () => {
    window.outcome = window.uppy.upload().then(told);
  };

  window.retry = () => {
    window.outcome = window.uppy.retryAll().then(told);
  };

  window.version = version;
}
