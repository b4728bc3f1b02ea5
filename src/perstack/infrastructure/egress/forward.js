// The same as forward.py, for sandboxes that have Node.js and no Python.
const net = require("node:net");
const fs = require("node:fs");
const [path, port] = process.argv.slice(1);
const server = net.createServer({ allowHalfOpen: true }, (client) => {
  const proxy = net.connect({ path, allowHalfOpen: true });
  client.on("error", () => proxy.destroy());
  proxy.on("error", () => client.destroy());
  client.on("close", () => proxy.destroy());
  proxy.on("close", () => client.destroy());
  client.pipe(proxy);
  proxy.pipe(client);
});
server.listen(Number(port), "127.0.0.1", 128, () => {
  fs.writeSync(1, "ready\n");
  fs.closeSync(1);
});
