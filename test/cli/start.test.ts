import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { type LocalServer, serveLocally } from '../support/json-server.ts'
import { bareEnvironment, MAIN, runCli, spawnCli } from './run-cli.ts'

let directory: string
let upstream: LocalServer
/** Requests that the upstream has not answered. */
const held: ServerResponse[] = []
let onHeld = Promise.withResolvers<void>()
const running: ChildProcessByStdio<null, Readable, Readable>[] = []

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'farebox-start-'))
  upstream = await serveLocally(async (request, response) => {
    if (request.url !== '/slow') return void response.end('hello')
    held.push(response)
    onHeld.resolve()
  })
})

afterEach(() => {
  for (const child of running.splice(0)) child.kill('SIGKILL')
  onHeld = Promise.withResolvers()
})

afterAll(async () => {
  await upstream.close()
  await rm(directory, { recursive: true, force: true })
})

function config(routes: string): string {
  return `
version: 1
payTo: "0x209693Bc6afc0C5328bA36FaF03C514EF312287C"
accepts: [base-sepolia]
server: {listen: "127.0.0.1:0"}
admin: {listen: "127.0.0.1:0"}
store: {url: "sqlite::memory:"}
facilitators: ["http://127.0.0.1:9"]
upstreams: {site: {url: "${upstream.url}"}}
routes:
  GET /paid: $0.001
  ${routes}
`
}

interface Started {
  readonly child: ChildProcessByStdio<null, Readable, Readable>
  readonly logged: (message: string) => Promise<{ url: string; adminUrl: string }>
  readonly ended: Promise<unknown[]>
  readonly url: string
  readonly adminUrl: string
}

async function startGateway(file: string): Promise<Started> {
  const child = spawn(process.execPath, [MAIN, 'start', '-c', file], {
    env: bareEnvironment(),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  running.push(child)
  const ended = once(child, 'close')
  const logged = readLog(child.stdout)
  const { url, adminUrl } = await logged('listening')
  return { child, logged, ended, url, adminUrl }
}

/** Hands out the next line with a message. Everything on standard output must be JSON. */
function readLog(stdout: Readable): Started['logged'] {
  const lines = createInterface({ input: stdout })[Symbol.asyncIterator]()
  return async message => {
    for (;;) {
      const { done, value } = await lines.next()
      if (done) throw new Error(`The gateway ended and never logged "${message}".`)
      const entry = JSON.parse(value)
      if (entry.msg === message) return entry
    }
  }
}

test('SIGTERM lets a running request finish, then the exit code is 0', async () => {
  const file = join(directory, 'drain.yaml')
  await writeFile(file, config('/slow: free'))
  const { child, ended, url, adminUrl } = await startGateway(file)
  const stderr: string[] = []
  child.stderr.on('data', chunk => stderr.push(String(chunk)))
  expect((await runCli(['healthcheck', '--url', `${adminUrl}/healthz`])).code).toBe(0)

  const answer = fetch(`${url}/slow`)
  await onHeld.promise
  child.kill('SIGTERM')
  await refusesConnections(url)
  held.pop()?.end('finished')

  expect(await (await answer).text()).toBe('finished')
  expect(await ended).toEqual([0, null])
  expect(stderr.join('')).toBe('')
})

test('SIGHUP puts a changed file in force, and keeps the old one when it is bad', async () => {
  const file = join(directory, 'reload.yaml')
  await writeFile(file, config('/one: free'))
  const { child, logged, ended, url } = await startGateway(file)
  expect((await fetch(`${url}/two`)).status).toBe(404)

  await writeFile(file, config('/two: free'))
  child.kill('SIGHUP')
  await logged('configuration reloaded')
  expect(await (await fetch(`${url}/two`)).text()).toBe('hello')

  await writeFile(file, config('/three: fre'))
  child.kill('SIGHUP')
  await logged('configuration is bad, the old one stays in force')
  expect(await (await fetch(`${url}/two`)).text()).toBe('hello')

  child.kill('SIGINT')
  expect(await ended).toEqual([0, null])
})

test('a file with problems does not start: exit code 2, all problems on stderr', async () => {
  const file = join(directory, 'bad.yaml')
  await writeFile(file, config('/free: fre').replace('accepts:', 'acepts:'))
  const run = await spawnCli(['start', '-c', file])
  expect(run).toMatchObject({ code: 2, stdout: '' })
  const { error } = JSON.parse(run.stderr)
  expect(error.code).toBe('configuration_invalid')
  expect(error.problems.length).toBeGreaterThan(1)
  expect(error.problems[0]).toMatchObject({ file, line: expect.any(Number) })
})

/** Resolves when nobody listens any more, which is how a drain begins. */
async function refusesConnections(url: string): Promise<void> {
  for (;;) {
    const refused = await fetch(`${url}/nothing`, { headers: { connection: 'close' } }).then(
      response => response.body?.cancel().then(() => false),
      () => true,
    )
    if (refused) return
  }
}
