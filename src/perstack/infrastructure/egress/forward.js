// The same as forward.py, for sandboxes that have Node.js and no Python.
const net = require("node:net");
const fs = require("node:fs");
const { pipeline } = require("node:stream");
const [path, port] = process.argv.slice(1);
const gone = () => {};
const server = net.createServer({ allowHalfOpen: true }, (client) => {
  const proxy = net.connect({ path, allowHalfOpen: true });
  pipeline(client, proxy, gone);
  pipeline(proxy, client, gone);
});
server.on("error", (error) => {
  if (error.code === "EADDRINUSE") fs.writeSync(1, "ready\n");
  process.exit(0);
});
server.listen(Number(port), "127.0.0.1", 128, () => {
  fs.writeSync(1, "ready\n");
  fs.closeSync(1);
});
