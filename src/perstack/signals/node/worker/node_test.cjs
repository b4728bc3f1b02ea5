'use strict';
// Runs node:test files, each in a process of its own. Nothing of the repository is ever loaded here.
const path = require('node:path');
const { spawn } = require('node:child_process');
const { randomBytes, createHmac, timingSafeEqual } = require('node:crypto');
const { begin, ordered } = require('./perstack_main.cjs');

const CHILD = path.join(__dirname, 'node_test_child.cjs');
const ENTRY = path.join(__dirname, 'node_test_entry.cjs');

/** One file: its genuine records, and how its process ended. */
function runFile(request, file) {
  const key = randomBytes(32).toString('hex');
  const words = [
    '--require', CHILD, ...request.arguments,
    `--test-reporter=${CHILD}`, '--test-reporter-destination=stdout', ENTRY,
  ];
  const child = spawn(process.execPath, words, {
    cwd: request.cwd,
    stdio: ['ignore', 'inherit', 'inherit', 'pipe', 'pipe'],
  });
  child.stdio[4].on('error', () => {});
  child.stdio[4].end(JSON.stringify({ key, file: path.join(request.cwd, file), canary: request.canary }));
  const chunks = [];
  child.stdio[3].on('data', (data) => chunks.push(data)).on('error', () => {});
  return new Promise((resolve) => {
    child.on('error', (error) => resolve({ records: [], forged: false, exit: 127, message: String(error) }));
    child.on('close', (code, signal) => {
      const { records, forged } = genuine(Buffer.concat(chunks).toString('utf8'), key);
      resolve({ records, forged, exit: code === null ? 128 : code, message: signal || '' });
    });
  });
}

function genuine(text, key) {
  const records = [];
  for (const one of text.split('\n')) {
    if (!one) continue;
    const space = one.indexOf(' ');
    const body = one.slice(space + 1);
    const wanted = Buffer.from(createHmac('sha256', key).update(body).digest('hex'));
    const given = Buffer.from(one.slice(0, Math.max(0, space)));
    if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) return { records, forged: true };
    const [number, record] = JSON.parse(body);
    if (number !== records.length) return { records, forged: true };
    records.push(record);
  }
  return { records, forged: false };
}

async function main() {
  const { request, send, finish } = await begin();
  let worst = 0;
  for (const file of ordered(request.files, request.order)) {
    const done = await runFile(request, file);
    for (const record of done.records) send({ ...record, file });
    send({ type: 'process', file, exit: done.exit, forged: done.forged, message: done.message });
    worst = done.exit === 0 ? worst : 1;
  }
  await finish(worst, { version: process.version });
}

main();
