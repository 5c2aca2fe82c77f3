"use strict";
// Preloaded into jsii's Node: the AWS provider's index requires each of its modules when it is first asked for.
const { Module } = require("node:module");

const INDEX = /[\\/]@cdktf[\\/]provider-aws[\\/]lib[\\/]index\.js$/;
const REQUIRED_AT_ONCE = /^exports\.(\w+) = require\("(\.\/[\w-]+)"\);$/gm;
const REQUIRED_WHEN_USED =
  'Object.defineProperty(exports, "$1", { enumerable: true, configurable: true, get: () => require("$2") });';

const compile = Module.prototype._compile;
Module.prototype._compile = function (content, filename, ...more) {
  if (INDEX.test(filename)) {
    content = content.replace(REQUIRED_AT_ONCE, REQUIRED_WHEN_USED);
  }
  return compile.call(this, content, filename, ...more);
};
