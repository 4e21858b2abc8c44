// The Worker in front of the broker's containers: it starts them, and passes each request to one of them.
import { Container, getRandom } from "@cloudflare/containers";

const INSTANCES = 2; // as max_instances in wrangler.jsonc. The broker has no state: any instance continues any upload.

export class Broker extends Container {
  defaultPort = 8000;
  pingEndpoint = "localhost/healthz";
  sleepAfter = "30m";

  constructor(context, env) {
    super(context, env);
    // Every variable and every secret of the Worker is a setting of the broker.
    this.envVars = Object.fromEntries(Object.entries(env).filter(([, value]) => typeof value === "string"));
  }
}

export default {
  async fetch(request, env) {
    const headers = new Headers(request.headers);
    headers.delete("cf-container-target-port"); // a client must not choose the port of the container
    headers.set("X-Forwarded-For", request.headers.get("CF-Connecting-IP") ?? "");
    const instance = await getRandom(env.BROKER, INSTANCES);
    return instance.fetch(new Request(request, { headers }));
  },
};
