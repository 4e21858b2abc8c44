import AwsS3 from "@uppy/aws-s3";
import Uppy from "@uppy/core";
import Dashboard from "@uppy/dashboard";
import GoldenRetriever from "@uppy/golden-retriever";

import { expose } from "../page.js";

expose(6, { Uppy, AwsS3, GoldenRetriever, Dashboard });
