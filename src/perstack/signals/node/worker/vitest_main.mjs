// Runs vitest in the verifier's way: a process a file with our runner, no attempts, no new snapshots, results signed.
import fs from 'node:fs';
import path from 'node:path';
import childProcess from 'node:child_process';
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { createRequire, syncBuiltinESMExports } from 'node:module';
import { pathToFileURL } from 'node:url';

const load = createRequire(import.meta.url);
const here = path.dirname(new URL(import.meta.url).pathname);
const { begin, installed, ordered } = load('./perstack_main.cjs');

const { request, send, finish } = await begin();
const said = [];

/** Give every process that vitest forks our preload, a key of its own and a pipe for records. */
function handOver(places) {
  const { fork } = childProcess;
  childProcess.fork = (module, words, options) => {
    const key = randomBytes(32).toString('hex');
    const child = fork(module, words, {
      ...options, stdio: ['pipe', 'pipe', 'pipe', 'ipc', 'pipe', 'pipe'],
      execArgv: ['--require', path.join(here, 'vitest_worker.cjs'), ...(options.execArgv || [])],
    });
    const chunks = [];
    child.stdio[4].on('error', () => {});
    child.stdio[4].end(JSON.stringify({ key, canary: request.canary, places }));
    child.stdio[5].on('data', (data) => chunks.push(data)).on('error', () => {});
    said.push(new Promise((resolve) => {
      child.stdio[5].on('close', () => resolve(genuine(Buffer.concat(chunks).toString('utf8'), key)));
    }));
    return child;
  };
  syncBuiltinESMExports();
}

function genuine(text, key) {
  const records = [];
  for (const one of text.split('\n').filter(Boolean)) {
    const space = one.indexOf(' ');
    const body = one.slice(space + 1);
    const [number, record] = createHmac('sha256', key).update(body).digest('hex') === one.slice(0, space)
      ? JSON.parse(body) : [-1];
    if (number !== records.length) return [...records, { forged: true, path: request.cwd }];
    records.push(record);
  }
  return records;
}

class Sequencer {
  shard(files) {
    return files;
  }

  sort(files) {
    const order = ordered(files.map((file) => file.moduleId), request.order);
    return [...files].sort((a, b) => order.indexOf(a.moduleId) - order.indexOf(b.moduleId));
  }
}

/** What the verifier decides, whatever a configuration says. */
const forced = {
  retry: 0, bail: 0, allowOnly: true, passWithNoTests: false, pool: 'forks', isolate: true, fileParallelism: false,
  maxWorkers: 1, minWorkers: 1, update: false, watch: false, dangerouslyIgnoreUnhandledErrors: false, silent: true,
  runner: path.join(here, 'vitest_runner.mjs'), execArgv: [], testNamePattern: undefined, shard: undefined,
};

async function run(node) {
  const options = {
    ...forced, root: request.options.root ? path.resolve(request.cwd, request.options.root) : request.cwd,
    config: request.options.config ? path.resolve(request.cwd, request.options.config) : undefined,
    reporters: ['json'], outputFile: { json: request.report }, coverage: { enabled: false },
    typecheck: { enabled: false }, sequence: { shuffle: false, concurrent: false, sequencer: Sequencer },
    cache: false, color: false,
    ...(request.options.project ? { project: [request.options.project] } : {}),
  };
  const vitest = await node.createVitest('test', options, {}, {});
  for (const project of vitest.projects) {
    const { include, execArgv } = { ...project.config };
    Object.assign(project.config, forced, { include, execArgv: execArgv || [] });
    if (project.config.browser) project.config.browser.enabled = false;
    if (project.config.typecheck) project.config.typecheck.enabled = false;
    project.config.snapshotOptions.updateSnapshot = 'none';
  }
  await vitest.start(request.only.length ? request.only : request.selection);
  const unhandled = vitest.state.getUnhandledErrors();
  await vitest.close();
  return { unhandled, red: vitest.state.getCountOfFailedTests() > 0 || unhandled.length > 0 };
}

const root = installed('vitest', request.cwd, request.workspace);
if (!root) await finish(1, { problem: 'it is not installed: neither in node_modules nor on PATH' });
try {
  const runner = installed('@vitest/runner', root, '/');
  handOver({ vitest: path.join(root, 'dist/index.js'), runner: path.join(runner, 'dist/index.js') });
  const { unhandled, red } = await run(await import(pathToFileURL(path.join(root, 'dist/node.js')).href));
  for (const records of await Promise.all(said)) {
    for (const { path: file, ...record } of records) send({ ...record, file: path.relative(request.cwd, file) });
  }
  for (const error of unhandled) {
    send({ type: 'case', file: '.', title: ['unhandled error'], outcome: 'error', message: String(error && error.message) });
  }
  const report = fs.existsSync(request.report)
    ? createHash('sha256').update(fs.readFileSync(request.report)).digest('hex') : '';
  await finish(red ? 1 : 0, { report, version: process.version });
} catch (error) {
  await finish(1, { problem: String((error && error.message) || error).slice(0, 2000) });
}
