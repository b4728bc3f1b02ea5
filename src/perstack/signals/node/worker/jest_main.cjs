'use strict';
// Runs jest in the verifier's way: one worker process for the tests, our reporter here, no attempts, no new snapshots.
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { createHash, randomBytes } = require('node:crypto');
const { begin, installed } = require('./perstack_main.cjs');
const { state } = require('./jest_reporter.cjs');
const Sequencer = require('./jest_sequencer.cjs');

// What of a configuration changes reporting, selection by name, order, attempts or snapshots.
const DROPPED = ['bail', 'reporters', 'testNamePattern', 'passWithNoTests', 'collectCoverage', 'collectCoverageFrom',
  'coverageDirectory', 'coverageThreshold', 'coverageReporters', 'coverageProvider', 'notify', 'notifyMode',
  'forceExit', 'testSequencer', 'verbose', 'silent', 'updateSnapshot', 'testRunner', 'maxWorkers', 'maxConcurrency',
  'workerIdleMemoryLimit', 'workerThreads', 'cache', 'cacheDirectory', 'randomize', 'shard', 'testFailureExitCode',
  'ci', 'json', 'outputFile', 'listTests', 'testResultsProcessor', 'watch', 'watchAll', 'watchPlugins', 'watchman',
  'onlyChanged', 'onlyFailures', 'openHandlesTimeout', 'runner', 'waitForUnhandledRejections', 'detectLeaks',
  'detectOpenHandles', 'logHeapUsage', 'injectGlobals'];

async function configuration(request, from) {
  const { readInitialOptions } = require(require.resolve('jest-config', { paths: [from('@jest/core')] }));
  const named = request.options.config ? path.resolve(request.cwd, String(request.options.config)) : undefined;
  const { config } = await readInitialOptions(named, {
    packageRootOrConfig: request.cwd, parentConfigPath: null, readFromCwd: false, skipMultipleConfigError: true,
  });
  const kept = Object.fromEntries(Object.entries(config).filter(([name]) => !DROPPED.includes(name)));
  return { ...kept, rootDir: config.rootDir || request.cwd, reporters: [path.join(__dirname, 'jest_reporter.cjs')] };
}

function options(request, config) {
  const files = request.only.length ? request.only : request.selection;
  return {
    _: files, $0: 'jest', config: JSON.stringify(config), runTestsByPath: request.only.length > 0,
    testRunner: path.join(__dirname, 'jest_runner.cjs'), testSequencer: path.join(__dirname, 'jest_sequencer.cjs'),
    ci: true, cache: false, coverage: false, maxWorkers: 1, passWithNoTests: false, watchman: false, bail: 0,
    // a limit that is never reached: it is what keeps the tests out of this process
    workerIdleMemoryLimit: 1e15, injectGlobals: true, silent: true,
    ...(request.options.env ? { env: request.options.env } : {}),
    ...(request.options.selectProjects ? { selectProjects: [request.options.selectProjects] } : {}),
  };
}

async function main() {
  const { request, send, finish } = await begin();
  const jest = installed('jest', request.cwd, request.workspace);
  if (!jest) return finish(1, { problem: 'it is not installed: neither in node_modules nor on PATH' });
  const from = (name, start = jest) => path.dirname(require.resolve(`${name}/package.json`, { paths: [start] }));
  const relative = (file) => path.relative(request.cwd, file);
  const handover = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'h-')), 'key');
  process.env.PERSTACK_HANDOVER = handover;
  process.env.NODE_ENV ??= 'test';
  process.env.BABEL_ENV ??= process.env.NODE_ENV;
  state.key = randomBytes(32).toString('hex');
  state.send = ({ path: file, ...record }) => send({ ...record, file: relative(file) });
  state.start = () => {
    const circus = require.resolve('jest-circus/runner', { paths: [from('jest-config', from('@jest/core'))] });
    fs.writeFileSync(handover, JSON.stringify({ key: state.key, circus, canary: request.canary }), { mode: 0o600 });
  };
  Sequencer.seed = request.order;
  try {
    const { runCLI } = require(from('@jest/core'));
    const config = await configuration(request, from);
    const { results } = await runCLI(options(request, config), [request.cwd]);
    const data = JSON.stringify({
      testResults: results.testResults.map((file) => ({
        assertionResults: file.testResults.map(({ ancestorTitles, title, status }) => ({ ancestorTitles, title, status })),
      })),
    });
    fs.writeFileSync(request.report, data);
    const report = createHash('sha256').update(data).digest('hex');
    return finish(results.success ? 0 : 1, { report, version: process.version });
  } catch (error) {
    return finish(1, { problem: String((error && error.message) || error).slice(0, 2000) });
  }
}

main();
