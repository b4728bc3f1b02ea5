'use strict';
// The only way results leave a process: numbered records, each with a code that only the holder of the key can make.
// Code under test may share this process later, so nothing here calls a method that it could replace.
const { createHmac, Hmac } = require('node:crypto');
const { writeSync } = require('node:fs');
const { apply } = Reflect;
const { stringify } = JSON;
const { create, keys } = Object;
const { update, digest } = Hmac.prototype;

const LIMIT = 2000;

/** One line for one record: code, space, body. `toJSON` methods of the world around are not asked. */
function line(key, number, record) {
  const body = `[${number},${stringify(bare(record))}]`;
  const mac = createHmac('sha256', key);
  apply(update, mac, [body]);
  return `${apply(digest, mac, ['hex'])} ${body}\n`;
}

function bare(value) {
  if (typeof value === 'string') return value.length > LIMIT ? `${text(value)}` : value;
  if (typeof value !== 'object' || value === null) return value;
  const copy = create(null);
  if (isArray(value)) {
    // an array has a prototype: an object with numbers for names says the same
    for (let index = 0; index < value.length; index += 1) copy[index] = bare(value[index]);
    return copy;
  }
  const names = keys(value);
  for (let index = 0; index < names.length; index += 1) copy[names[index]] = bare(value[names[index]]);
  return copy;
}

const { isArray } = Array;
const { slice } = String.prototype;
const text = (value) => apply(slice, value, [0, LIMIT]);

/** A writer of records to a descriptor. */
function writer(key, descriptor) {
  let number = 0;
  return (record) => {
    let rest = Buffer.from(line(key, number, record));
    number += 1;
    while (rest.length > 0) {
      try {
        rest = rest.subarray(writeSync(descriptor, rest));
      } catch (error) {
        if (error.code !== 'EAGAIN') throw error;
      }
    }
  };
}

module.exports = { line, writer, text };
