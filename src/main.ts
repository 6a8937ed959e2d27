#!/usr/bin/env node
// No static import: an old Node would stop at what it cannot load before it could say why.

/** Keep equal to `engines.node` in package.json. */
const REQUIRED_NODE = '24.5'

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
const [majorMin = 0, minorMin = 0] = REQUIRED_NODE.split('.').map(Number)
if (major < majorMin || (major === majorMin && minor < minorMin)) {
  const found = process.versions.node
  const message = `farebox needs Node.js ${REQUIRED_NODE} or newer, and this is ${found}`
  const fix = `Install Node.js ${REQUIRED_NODE} from https://nodejs.org, or run the image.`
  const error = { code: 'node_too_old', message, fix }
  const line = process.stdout.isTTY
    ? `${error.code}: ${message}. ${fix}`
    : JSON.stringify({ error })
  process.stderr.write(`${line}\n`)
  process.exitCode = 1
} else {
  await keepCompiledCode()
  const { run } = await import('./cli/program.ts')
  await run(process)
}

/**
 * Lets the next start of a build take the code as this one compiled it. It is kept beside the code:
 * who could write there can change what runs anyway, which is not so in a directory for temporary
 * files. Where nobody may write, nothing is kept.
 */
async function keepCompiledCode(): Promise<void> {
  if (!import.meta.url.endsWith('.js')) return
  const { enableCompileCache } = await import('node:module')
  enableCompileCache(`${import.meta.dirname}/.compile-cache`)
}

export {}
