'use strict';
// What every process that talks to the verifier starts with: the request from standard input, the channel, the finish.
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { createHash } = require('node:crypto');
const { line } = require('./perstack_wire.cjs');

/** Read the request and connect. Standard input is closed before anything of the repository can read it. */
async function begin() {
  const { nonce, socket: place, ...request } = JSON.parse(fs.readFileSync(0, 'utf8'));
  const socket = net.connect(place);
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  let number = 0;
  const send = (record) => {
    socket.write(line(nonce, number, record));
    number += 1;
  };
  const finish = async (exit, record) => {
    send({ type: 'finish', exit, ...record });
    await new Promise((resolve) => socket.end(resolve));
    process.exit(exit);
  };
  return { request, send, finish };
}

/** Files in the order of a seed; as they are without one. */
function ordered(files, seed) {
  const digest = (file) => createHash('sha256').update(`${seed}\0${file}`).digest('hex');
  const sorted = [...files].sort();
  return seed ? sorted.sort((a, b) => (digest(a) < digest(b) ? -1 : 1)) : sorted;
}

/** The folder of an installed package: of the project where it has it, else of the tools on PATH. */
function installed(name, start, root) {
  for (let folder = start; ; folder = path.dirname(folder)) {
    const found = path.join(folder, 'node_modules', name);
    if (fs.existsSync(path.join(found, 'package.json'))) return fs.realpathSync(found);
    if (folder === root || folder === path.dirname(folder)) break;
  }
  for (const folder of (process.env.PATH || '').split(':')) {
    const program = path.join(folder, name);
    if (!folder || !fs.existsSync(program)) continue;
    for (let up = path.dirname(fs.realpathSync(program)); up !== path.dirname(up); up = path.dirname(up)) {
      const manifest = path.join(up, 'package.json');
      if (fs.existsSync(manifest) && JSON.parse(fs.readFileSync(manifest, 'utf8')).name === name) return up;
    }
  }
  return null;
}

module.exports = { begin, ordered, installed };
