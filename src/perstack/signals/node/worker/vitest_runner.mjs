// Vitest's runner with canaries in every file, functions that are watched, and each test told as it ends.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import path from 'node:path';

const load = createRequire(import.meta.url);
const worker = load(path.join(path.dirname(new URL(import.meta.url).pathname), 'vitest_worker.cjs'));
const { write, canary, places, known } = worker.take();
const identity = load('./perstack_identity.cjs');
const canaries = load('./perstack_canary.cjs');
const { text } = load('./perstack_wire.cjs');
const api = await import(pathToFileURL(places.vitest).href);
const { getFn, setFn } = await import(pathToFileURL(places.runner).href);

const GLOBALS = ['test', 'it', 'describe', 'suite', 'expect', 'beforeAll', 'beforeEach', 'afterAll', 'afterEach', 'vi'];
const MATCHERS = Symbol.for('$$jest-matchers-object');
const FOCUSED = /\.only\b/;
const { keys, create, getOwnPropertyDescriptor } = Object;
const { apply } = Reflect;
const { readFileSync } = load('node:fs');
const store = globalThis[MATCHERS];

const replaced = create(null);
known.push(...identity.remember({
  expect: api.expect, test: api.test, describe: api.describe, 'chai.Assertion.prototype': api.chai.Assertion.prototype,
  chai: api.chai, 'chai.util': api.chai.util, assert: api.assert, matchers: store ? store.matchers : null,
  'equality testers': store ? store.customEqualityTesters : null,
  TestRunner: api.TestRunner, 'TestRunner.prototype': api.TestRunner.prototype,
}));

export default class Runner extends api.TestRunner {
  #functions = new Map();
  #told = new Set();
  #returned = new Set();
  #threw = new Set();

  async importFile(filepath, source) {
    if (source !== 'collect') return super.importFile(filepath, source);
    known.push(...identity.remember({ globals: [globalThis, GLOBALS] }));
    const focused = FOCUSED.test(readFileSync(filepath, 'utf8'));
    const chosen = (test) => (focused ? test.only : test);
    canaries.first(chosen(api.test), canary);
    let imported;
    try {
      imported = await super.importFile(filepath, source);
    } catch (error) {
      write({ type: 'broken', path: filepath, message: message(error) });
      throw error;
    }
    const own = globalThis.test && globalThis.test !== api.test ? [globalThis.test] : [];
    const tests = [api.test, api.it, ...own].map(chosen);
    canaries.last(tests, [...canaries.expectations(globalThis.expect || api.expect), ...canaries.expectations(api.expect),
      ...canaries.assertions(load('node:assert')), ['assert.equal', () => api.assert.equal(1, 2)]], canary);
    identity.compare(known, replaced);
    write({ type: 'loaded', path: filepath, canaries: tests.length });
    return imported;
  }

  onCollected(files) {
    for (const test of files.flatMap(tests)) {
      const run = this.#witnessed(test, getFn(test));
      setFn(test, run);
      this.#functions.set(test, { run, fails: test.fails });
    }
    return super.onCollected?.(files);
  }

  /** The test's own body, and our own note of how it ended: what vitest keeps can be changed from inside. */
  #witnessed(test, body) {
    const [returned, threw] = [this.#returned, this.#threw];
    return async function witnessed(...given) {
      try {
        const value = await apply(body, this, given);
        returned.add(test);
        return value;
      } catch (error) {
        threw.add(test);
        throw error;
      }
    };
  }

  async onBeforeRunTask(test) {
    this.#watch(test);
    return super.onBeforeRunTask(test);
  }

  onAfterRunTask(test) {
    this.#watch(test);
    this.#tell(test);
    return super.onAfterRunTask(test);
  }

  async onAfterRunSuite(suite) {
    const done = await super.onAfterRunSuite(suite);
    const errors = (suite.result && suite.result.errors) || [];
    if (errors.length) {
      write({ type: 'case', path: suite.file.filepath, title: [...titles(suite), 'set-up and tear-down'],
        outcome: 'failed', message: message(errors[0]) });
    }
    return done;
  }

  onAfterRunFiles(files) {
    for (const file of files) {
      for (const test of tests(file)) if (!this.#told.has(test)) this.#tell(test);
      identity.compare(known, replaced);
      write({ type: 'end', path: file.filepath, replaced: keys(replaced) });
    }
    return super.onAfterRunFiles(files);
  }

  #watch(test) {
    identity.compare(known, replaced);
    const before = this.#functions.get(test);
    const { value } = getOwnPropertyDescriptor(test, 'result') || {};
    const plain = !('result' in test) || value === undefined || getOwnPropertyDescriptor(value, 'state')?.value;
    if (!before || !plain || before.run !== getFn(test) || before.fails !== test.fails) {
      replaced['functions of tests'] = true;
    }
  }

  #tell(test) {
    this.#told.add(test);
    const { result } = test;
    const said = outcome(test);
    const ended = this.#returned.has(test) && !this.#threw.has(test);
    write({
      type: 'case', path: test.file.filepath, title: titles(test),
      outcome: said === 'passed' && !ended ? 'said to have passed' : said,
      message: result && result.state === 'fail' ? message(result.errors && result.errors[0]) : '',
      seconds: result && result.duration ? result.duration / 1000 : 0, line: (test.location && test.location.line) || 0,
    });
  }
}

function outcome(test) {
  if (test.mode !== 'run' && test.mode !== 'queued') return 'skipped';
  const { result } = test;
  if (!result) return 'not run';
  if (result.state === 'skip' || result.state === 'todo') return 'skipped';
  if (result.state !== 'pass') return 'failed';
  if (test.fails) return 'xfailed';
  return result.retryCount > 0 ? 'passed after a retry' : 'passed';
}

function tests(task) {
  return task.type === 'test' ? [task] : (task.tasks || []).flatMap(tests);
}

function titles(task) {
  const found = [];
  for (let at = task; at && !('filepath' in at); at = at.suite) found.unshift(at.name);
  return found;
}

function message(error) {
  try {
    return text(String((error && error.message) || error));
  } catch {
    return 'an error without a message';
  }
}
