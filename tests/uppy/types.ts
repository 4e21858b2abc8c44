// A product's use of the module for Uppy. It is compiled, never run.

import AwsS3 from "@uppy/aws-s3";
import Uppy from "@uppy/core";

import { brokerUppy } from "./broker-uppy.js";
import type { ConfirmedBody } from "./broker-uppy.js";

const broker = "https://broker.example";
const uppy = new Uppy();
uppy.use(AwsS3, brokerUppy(uppy, { broker, getToken: async ({ refresh }) => (refresh ? "new" : "old"), checksum: true }));
uppy.use(AwsS3, { ...brokerUppy(uppy, { getToken: () => "token" }), id: "second", limit: 4 });

uppy.on("complete", ({ successful }) => {
  for (const file of successful ?? []) {
    const { key, receipt, url } = file.response?.body as unknown as ConfirmedBody;
    console.log(key.length, receipt.length, url?.length);
  }
});
