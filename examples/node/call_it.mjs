import { connect } from "../../clients/js/dist/index.js"; // in your own project: from "lambdamesh"

const [id] = process.argv.slice(2);
const mesh = await connect();
console.log(await mesh.call(id, "hello", "Ada", { timeout: 5000 }));
for await (const number of mesh.stream(id, "count", 3)) console.log(number);
try {
  await mesh.call(id, "nope");
} catch (error) {
  console.log(error.code, error.delivered, error.message);
}
await mesh.close();
