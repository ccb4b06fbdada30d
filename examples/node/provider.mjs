// Opens a lambda and answers its calls: the sample of the Lambda API's description.
//
//   npm ci
//   node provider.mjs [ws://localhost:7630/lambda/new]
//
// The address comes from the first argument, else from LAMBDAMESH_URL, else it is ws://pm3/lambda/new.
import { WebSocket, createWebSocketStream } from "ws";

const url = process.argv[2] ?? process.env.LAMBDAMESH_URL ?? "ws://pm3/lambda/new";

// Creates a new lambda, returns the ID.
async function newLambda(handler) {
  // Create a websocket stream to the lambda endpoint
  const duplex = createWebSocketStream(new WebSocket(url), { encoding: "utf-8" });
  // Define the message handler
  async function handle(id, method, body) {
    let resp;
    try {
      resp = { id, result: await handler[method](body) };
    } catch (error) {
      resp = { id, error: `${error}` };
    }
    duplex.write(JSON.stringify(resp));
  }
  // Return a promise that resolves to the lambda ID when the lambda is opened
  return new Promise(async (resolve) => {
    // For each message received:
    for await (const message of duplex) {
      const { method, params, id } = JSON.parse(message);
      // A special case for the "open" method, which is sent when the lambda is opened to inform
      // the client that the lambda is ready to receive messages and it's UID.
      if (method === "open") {
        // Accept the state and resolve the promise
        duplex.write(JSON.stringify({ id, result: "ok" }));
        resolve(params[0]);
        continue;
      }
      // Handle the message
      handle(id, method, params[0]).catch(console.error);
    }
  });
}

const id = await newLambda({
  test(body) {
    return { echo: body };
  },
});
console.log("id", id);
