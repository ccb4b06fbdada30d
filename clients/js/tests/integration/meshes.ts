import { afterAll, afterEach, beforeAll, expect } from "vitest";
import { connect, type CallError, type ConnectOptions, type Mesh } from "../../src/index.js";
import { Node } from "../node.js";

/** The node of a test file; each file has its own. */
export let node: Node;
const meshes: Mesh[] = [];

/** Start a node before the tests of a file, and stop it after them. */
export function useNode(): void {
  beforeAll(async () => void (node = await Node.start()));
  afterAll(() => node?.stop());
  afterEach(async () => void (await Promise.all(meshes.splice(0).map((mesh) => mesh.close()))));
}

/** Connect, until the end of the test. */
export async function join(options: ConnectOptions = {}, url = node.ws): Promise<Mesh> {
  const mesh = await connect(url, options);
  meshes.push(mesh);
  return mesh;
}

/** What a call is refused with. */
export const refusal = (promise: Promise<unknown>): Promise<CallError> =>
  promise.then(
    () => expect.fail("it was not refused"),
    (error: CallError) => error,
  );
