import { execFile, execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { stripTypeScriptTypes } from 'node:module'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, expect, test } from 'vitest'
import { MAIN } from './run-cli.ts'

const directory = mkdtempSync(join(tmpdir(), 'farebox-old-node-'))
afterAll(() => rm(directory, { recursive: true, force: true }))

/** A Node of this machine that is too old; null when there is none. */
function findOldNode(): string | null {
  const folders = (process.env.PATH ?? '').split(delimiter).filter(one => !one.includes('.bin'))
  for (const folder of ['/usr/local/bin', ...folders]) {
    const node = join(folder, 'node')
    try {
      const version = execFileSync(node, ['--version'], { encoding: 'utf8' })
      if (Number(/^v(\d+)/.exec(version)?.[1]) < 24) return node
    } catch {
      // Not there.
    }
  }
  return null
}

const oldNode = findOldNode()

test.skipIf(oldNode === null)(
  'an old Node is told so in one line, exit code 1 (skipped: no Node below 24 is installed)',
  async () => {
    // What the build emits: the types are gone, the imports are untouched until they run.
    writeFileSync(join(directory, 'main.mjs'), stripTypeScriptTypes(readFileSync(MAIN, 'utf8')))
    const started = promisify(execFile)(String(oldNode), [join(directory, 'main.mjs'), 'start'])
    const failure = await started.then(
      () => null,
      error => error,
    )
    expect(failure).toMatchObject({ code: 1, stdout: '' })
    expect(failure.stderr.trim().split('\n')).toHaveLength(1)
    const { error } = JSON.parse(failure.stderr)
    expect(error).toMatchObject({
      code: 'node_too_old',
      message: expect.stringMatching(/needs Node\.js 24\.5 or newer, and this is \d+\./),
      fix: expect.stringContaining('nodejs.org'),
    })
  },
)

test('the version that main.ts asks for is the one in package.json', () => {
  const { engines } = JSON.parse(
    readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
  )
  const required = /const REQUIRED_NODE = '([\d.]+)'/.exec(readFileSync(MAIN, 'utf8'))?.[1]
  expect(engines.node).toBe(`>=${required}`)
})

test('main.ts imports nothing before it has looked at the version', () => {
  expect(readFileSync(MAIN, 'utf8')).not.toMatch(/^import /m)
})
